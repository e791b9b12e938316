"""Times as people give them in a question: RFC 3339, ``now``, or relative to now like ``-15m``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from logstreamd.query.errors import BadParameterError
from logstreamd.wire.rfc3339 import parse_rfc3339

__all__ = ["parse_time"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_RELATIVE = re.compile(r"(?:now)?\s*([+-])\s*(\d{1,9})(ms|s|m|h|d|w)", re.ASCII)
_EXPECTED = "must be a time like 2026-11-22T03:00:00Z, 'now' or relative like -15m"


def parse_time(text: str, field: str, now: datetime) -> datetime:
    """Read a time.

    Args:
        text: ``now``, ``-15m``, ``now-1h`` or an RFC 3339 stamp (section 5.6). A ``+`` that a URL turned into a space
            is understood.
        field: the parameter's name, for the error.
        now: the present, aware.

    Returns:
        An aware datetime in UTC.

    Raises:
        BadParameterError: it is none of these, or out of the calendar.
    """
    text = text.strip()
    if text == "now":
        return now
    if relative := _RELATIVE.fullmatch(text):
        sign, count, unit = relative.groups()
        try:
            return now + timedelta(seconds=int(f"{sign}{count}") * _UNITS[unit])
        except OverflowError:
            raise BadParameterError(field, f"{_EXPECTED} (got {text!r}, which lies outside the calendar)") from None
    # A "+" that was not quoted in a URL arrives as a blank.
    stamp = parse_rfc3339(re.sub(r" (?=\d\d:\d\d$)", "+", text))
    if stamp is not None:
        return stamp
    raise BadParameterError(field, f"{_EXPECTED} (got {text!r})")
