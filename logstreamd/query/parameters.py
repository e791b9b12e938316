"""The parameters of a search → a typed question.

Everything a client can get wrong is found here, before the database is asked, and named with the parameter.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from logstreamd.query.cursor import decode_cursor
from logstreamd.query.errors import BadParameterError
from logstreamd.query.times import parse_time
from logstreamd.record import LEVELS, severity_from_name

__all__ = ["Search", "parse_search"]

_PARAMETERS = (
    "start", "end", "level", "min_level", "service", "host", "trace_id", "q", "limit", "order", "cursor"
)  # fmt: skip
_ONCE = ("start", "end", "min_level", "limit", "order", "cursor", "q")
_DEFAULT_LIMIT = 100
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_MAX_VALUES = 100  # names in one list
_MAX_TEXT = 1_024  # characters of one value
_MAX_WORDS = 32


@dataclass(frozen=True, slots=True)
class Search:
    """A question for log rows; None does not restrict.

    Attributes:
        start: inclusive.
        end: exclusive.
        severities: any of these.
        words: each must be in the message, in any case.
        after: continue behind this row, given by time and id.
    """

    start: datetime
    end: datetime
    severities: tuple[int, ...] | None = None
    services: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    trace_ids: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None
    limit: int = _DEFAULT_LIMIT
    order: Literal["desc", "asc"] = "desc"
    after: tuple[datetime, int] | None = None


def parse_search(given: Iterable[tuple[str, str]], *, now: datetime, max_rows: int) -> Search:
    """Read the parameters of a search.

    Args:
        given: names and values, as the query string has them; a list may be repeated or separated by commas.
        now: the present.
        max_rows: the most rows one answer may have.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
    """
    values = _collect(given)
    start = parse_time(values["start"][0], "start", now) if "start" in values else _EARLIEST
    end = parse_time(values["end"][0], "end", now) if "end" in values else _LATEST
    if start >= end:
        raise BadParameterError("start", f"must be before end (got {start.isoformat()} and {end.isoformat()})")
    return Search(
        start=start,
        end=end,
        severities=_severities(values),
        services=_names(values, "service"),
        hosts=_names(values, "host"),
        trace_ids=_names(values, "trace_id"),
        words=_words(values),
        limit=_limit(values, max_rows),
        order=_order(values),
        after=decode_cursor(values["cursor"][0]) if "cursor" in values else None,
    )


def _collect(given: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in given:
        if name not in _PARAMETERS:
            guess = difflib.get_close_matches(name, _PARAMETERS, n=1)
            hint = f"; did you mean {guess[0]}?" if guess else f" (known: {', '.join(_PARAMETERS)})"
            raise BadParameterError(name, f"is not a parameter of this resource{hint}")
        if name in _ONCE and name in values:
            raise BadParameterError(name, "must be given once")
        if len(value) > _MAX_TEXT:
            raise BadParameterError(name, f"must be at most {_MAX_TEXT} characters (got {len(value)})")
        if "\0" in value:
            raise BadParameterError(name, "must not hold a NUL character")
        values.setdefault(name, []).append(value)
    return values


def _names(values: Mapping[str, Sequence[str]], field: str) -> tuple[str, ...] | None:
    if field not in values:
        return None
    names = tuple(name.strip() for value in values[field] for name in value.split(","))
    if not all(names):
        raise BadParameterError(field, f"must not be empty (got {','.join(values[field])!r})")
    if len(names) > _MAX_VALUES:
        raise BadParameterError(field, f"must be at most {_MAX_VALUES} values (got {len(names)})")
    return names


def _severities(values: Mapping[str, Sequence[str]]) -> tuple[int, ...] | None:
    levels = _names(values, "level")
    severities = None if levels is None else {_severity(level, "level") for level in levels}
    if "min_level" in values:
        worst = set(range(_severity(values["min_level"][0], "min_level") + 1))
        severities = worst if severities is None else severities & worst
    return None if severities is None else tuple(sorted(severities))


def _severity(level: str, field: str) -> int:
    severity = severity_from_name(level)
    if severity is None:
        raise BadParameterError(field, f"must be one of {', '.join(reversed(LEVELS))} (got {level!r})")
    return int(severity)


def _words(values: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    if "q" not in values:
        return None
    words = tuple(values["q"][0].split())
    if len(words) > _MAX_WORDS:
        raise BadParameterError("q", f"must be at most {_MAX_WORDS} words (got {len(words)})")
    return words or None


def _limit(values: Mapping[str, Sequence[str]], max_rows: int) -> int:
    if "limit" not in values:
        return min(_DEFAULT_LIMIT, max_rows)
    text = values["limit"][0]
    # str.isdigit() alone takes digits of other scripts; eight are enough for any limit.
    if text.isascii() and text.isdigit() and len(text) <= 8 and 1 <= int(text) <= max_rows:
        return int(text)
    raise BadParameterError("limit", f"must be a whole number 1..{max_rows} (got {text!r})")


def _order(values: Mapping[str, Sequence[str]]) -> Literal["desc", "asc"]:
    match values.get("order", ["desc"])[0]:
        case "desc":
            return "desc"
        case "asc":
            return "asc"
        case other:
            raise BadParameterError("order", f"must be desc (newest first) or asc (got {other!r})")
