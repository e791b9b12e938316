"""The exact counts of a stretch of minutes in memory, to be asked many questions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from typing import TypeAlias

from logstreamd.query.steps import MINUTE
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["MinuteCounts", "Pair", "read_minute_counts"]

_SQL = load_queries("tallies.sql", package="logstreamd.query")
_MOST_CELLS = 500_000  # some 20 MB, and 50 ms to fill

Pair: TypeAlias = tuple[str | None, int]
"""A service and a severity."""


class MinuteCounts:
    """Lines by service and severity, of each minute from the first on.

    Args:
        start: begin of the first minute.
        end: end of the last one.
        sums: for each pair the lines before each minute, and last before the end.
    """

    def __init__(self, start: datetime, end: datetime, sums: dict[Pair, list[int]]) -> None:
        self.start = start
        self.end = end
        self._sums = sums

    def lines_between(self, start: datetime, end: datetime) -> Iterator[tuple[Pair, int]]:
        """Yield the lines of each pair that has some between the begins of two minutes."""
        first, last = (start - self.start) // MINUTE, (end - self.start) // MINUTE
        for pair, sums in self._sums.items():
            lines = sums[last] - sums[first]
            if lines:
                yield pair, lines


async def read_minute_counts(connection: Connection, start: datetime, end: datetime) -> MinuteCounts | None:
    """Read the counts of whole minutes; None when they are too many to be kept in memory."""
    minutes = (end - start) // MINUTE
    limit = _MOST_CELLS // (minutes + 1)
    rows = await connection.fetch(_SQL["minutes"], start, end, limit + 1)
    if len(rows) > limit:
        return None
    sums: dict[Pair, list[int]] = {}
    for service, severity, positions, counts in rows:
        of_minutes = [0] * minutes
        for position, count in zip(positions, counts, strict=True):
            of_minutes[position] += count
        sums[service, severity] = list(accumulate(of_minutes, initial=0))
    return MinuteCounts(start, end, sums)
