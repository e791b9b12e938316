"""Durations as people give them in a question: ``500ms 10s 5m 1h 7d``, and the stretch of time a ``window`` is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from logstreamd.query.errors import BadParameterError
from logstreamd.query.parameters import Values
from logstreamd.query.scope import EARLIEST, Scope

__all__ = ["read_duration", "within_window"]

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
# Nine digits of the largest unit: as many days as a timedelta holds.
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def read_duration(values: Values, field: str, *, at_least: timedelta, at_most: timedelta) -> timedelta | None:
    """Read a duration; None when it was not given.

    Args:
        values: see :func:`~logstreamd.query.parameters.collect`.
        field: the parameter's name.
        at_least: the shortest there may be.
        at_most: the longest.

    Raises:
        BadParameterError: it is none, or out of these bounds.
    """
    if field not in values:
        return None
    text = values[field][0].strip()
    found = _DURATION.fullmatch(text)
    if found is not None and at_least <= (duration := int(found[1]) * _UNITS[found[2]]) <= at_most:
        return duration
    bounds = f"{_written(at_least)}..{_written(at_most)}"
    raise BadParameterError(field, f"must be a duration like 10s, 5m or 1h, {bounds} (got {text!r})")


def within_window(scope: Scope, values: Values, *, now: datetime, default: timedelta, at_most: timedelta) -> Scope:
    """Let a scope begin ``window`` before its end (before now, if it has none), unless ``start`` says when.

    Args:
        scope: as its own parameters have it.
        values: see :func:`~logstreamd.query.parameters.collect`.
        now: the present.
        default: the window when neither is given.
        at_most: the longest window there may be.

    Raises:
        BadParameterError: both are given, or ``window`` is no duration in its bounds.
    """
    window = read_duration(values, "window", at_least=timedelta(minutes=1), at_most=at_most)
    if "start" not in values:
        newest = min(scope.end, now)
        return replace(scope, start=max(EARLIEST, newest - (window or default)))
    if window is not None:
        raise BadParameterError("window", "must not be given together with start")
    return scope


def _written(duration: timedelta) -> str:
    unit = next(unit for unit, length in _UNITS.items() if not duration % length)
    return f"{duration // _UNITS[unit]}{unit}"
