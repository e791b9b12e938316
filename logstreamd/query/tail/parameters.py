"""The parameters of a tail: the filter as for every question, and what comes before the first new row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from logstreamd.query.filter import Filter
from logstreamd.query.parameters import collect, read_count
from logstreamd.query.scope import LATEST, SCOPE_ONCE, SCOPE_PARAMETERS, SCOPE_PREFIXES, Scope, read_scope
from logstreamd.query.times import parse_time

__all__ = ["Tail", "parse_tail"]

_PARAMETERS = (*(name for name in SCOPE_PARAMETERS if name not in ("start", "end")), "last", "since")


@dataclass(frozen=True, slots=True)
class Tail:
    """What a client follows.

    Attributes:
        scope: rows stored before that it wants first, and which rows at all.
        last: how many of those, at most; 0: only new ones.
    """

    scope: Scope
    last: int

    @property
    def filter(self) -> Filter:
        """Which rows."""
        return self.scope.filter


def parse_tail(given: Iterable[tuple[str, str]], *, now: datetime, max_rows: int) -> Tail:
    """Read the parameters of a tail.

    Args:
        given: names and values, as the query string has them.
        now: the present.
        max_rows: the most rows one answer may have.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
        FilterError: ``q`` is no filter.
    """
    values = collect(given, _PARAMETERS, once=(*SCOPE_ONCE, "last", "since"), prefixes=SCOPE_PREFIXES)
    scope = read_scope(values, now=now)
    last = 0
    if "since" in values:
        scope, last = replace(scope, start=parse_time(values["since"][0], "since", now), end=LATEST), max_rows
    if "last" in values:
        last = read_count(values, "last", default=1, at_most=max_rows)
    return Tail(scope, last)
