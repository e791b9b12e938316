"""Which lines a question is about: the parameters that all questions share → a time range and one filter.

``level``, ``min_level``, ``service``, ``host``, ``trace_id`` and ``tag.KEY`` are short forms of the filter language;
they and ``q`` must all hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from logstreamd.query.errors import BadParameterError
from logstreamd.query.filter import Filter, parse_filter
from logstreamd.query.filter.tree import And, Attribute, Column, ColumnName, Equals, LevelIs, Or
from logstreamd.query.parameters import Values, read_names
from logstreamd.query.times import parse_time
from logstreamd.record import LEVELS, Severity, severity_from_name

__all__ = ["EARLIEST", "LATEST", "SCOPE_ONCE", "SCOPE_PARAMETERS", "SCOPE_PREFIXES", "Scope", "read_scope"]

SCOPE_PARAMETERS = ("start", "end", "q", "level", "min_level", "service", "host", "trace_id")
SCOPE_ONCE = ("start", "end", "q", "min_level")
SCOPE_PREFIXES = ("tag.",)

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)

_COLUMNS: tuple[ColumnName, ...] = ("service", "host", "trace_id")


@dataclass(frozen=True, slots=True)
class Scope:
    """The lines in question.

    Attributes:
        start: inclusive.
        end: exclusive.
        filter: which of them.
    """

    start: datetime
    end: datetime
    filter: Filter


def read_scope(values: Values, *, now: datetime) -> Scope:
    """Read what all questions share.

    Args:
        values: see :func:`~logstreamd.query.parameters.collect`.
        now: the present.

    Raises:
        BadParameterError: a value is not what its name takes.
        FilterError: ``q`` is no filter.
    """
    start = parse_time(values["start"][0], "start", now) if "start" in values else EARLIEST
    end = parse_time(values["end"][0], "end", now) if "end" in values else LATEST
    scope = Scope(_within(start), _within(end), _filter(values))
    if scope.start >= scope.end:
        expected = f"must be before end, between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}"
        raise BadParameterError("start", f"{expected} (got {start.isoformat()} and {end.isoformat()})")
    return scope


def _within(time: datetime) -> datetime:
    """Return the nearest time that rows may have: at the ends of the calendar there is no room for another step."""
    return max(EARLIEST, min(time, LATEST))


def _filter(values: Values) -> Filter:
    terms = tuple(_terms(values))
    return terms[0] if len(terms) == 1 else And(terms)


def _terms(values: Values) -> Iterator[Filter]:
    yield from _one_of(values, "level", lambda level: LevelIs("=", _severity(level, "level")))
    if "min_level" in values:
        yield LevelIs(">=", _severity(values["min_level"][0], "min_level"))
    for column in _COLUMNS:
        yield from _one_of(values, column, lambda name, column=column: Equals(Column(column), name))  # type: ignore[misc]
    for field in values:
        if field.startswith("tag."):
            yield from _one_of(values, field, lambda value, key=field[4:]: Equals(Attribute(("tags", key)), value))  # type: ignore[misc]
    if "q" in values:
        asked = parse_filter(values["q"][0])
        yield from asked.terms if isinstance(asked, And) else (asked,)


def _one_of(values: Values, field: str, read: Callable[[str], Filter]) -> Iterator[Filter]:
    """Yield the term that a list of values stands for, if it was given."""
    names = read_names(values, field)
    if names is not None:
        terms = tuple(read(name) for name in names)
        yield terms[0] if len(terms) == 1 else Or(terms)


def _severity(level: str, field: str) -> Severity:
    severity = severity_from_name(level)
    if severity is None:
        raise BadParameterError(field, f"must be one of {', '.join(reversed(LEVELS))} (got {level!r})")
    return severity
