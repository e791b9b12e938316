"""Measurements of rows in memory: what the database answers, for the tests of rules and those of the database."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from logstreamd.alerts.aggregate import Distinct, Lines, Measured, Share, Silence, Windows
from logstreamd.alerts.measure import MAX_GROUPS, Answer, Measurement
from logstreamd.query.filter import Filter, matches

__all__ = ["RowMeasurer"]

_Row: TypeAlias = Mapping[str, Any]


class RowMeasurer:
    """Answers from rows, each a mapping from the columns of ``logs``, with ``ts`` an aware datetime.

    Args:
        rows: the rows, in any order.
    """

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = sorted(rows, key=_ts)
        self._matching: dict[Filter, list[_Row]] = {}

    def measure(self, measurement: Measurement) -> Answer:
        """Answer one question."""
        rows = self._between(self._matching_rows(measurement.filter), measurement.earliest, measurement.end)
        groups: dict[tuple[str, ...], list[_Row]] = {} if measurement.by else {(): []}
        for row in rows:
            groups.setdefault(tuple(key.value_in(row) for key in measurement.by), []).append(row)
        measured = [self._measured(measurement, group, of_group) for group, of_group in groups.items()]
        measured.sort(key=lambda one: (-one.volume, one.group))
        return Answer(tuple(measured[:MAX_GROUPS]), cut=len(measured) > MAX_GROUPS)

    def _matching_rows(self, tree: Filter) -> list[_Row]:
        if tree not in self._matching:
            self._matching[tree] = [row for row in self._rows if matches(tree, row)]
        return self._matching[tree]

    def _measured(self, measurement: Measurement, group: tuple[str, ...], rows: Sequence[_Row]) -> Measured:
        lines = len(rows)
        match measurement.aggregate:
            case Lines():
                return Measured(group, lines, lines)
            case Share(part):
                share = sum(matches(part, row) for row in rows) / lines if lines else 0.0
                return Measured(group, share, lines)
            case Distinct(key):
                return Measured(group, len({key.value_in(row) for row in rows} - {""}), lines)
            case Silence(lookback):
                silence = measurement.end - rows[-1]["ts"] if rows else lookback
                return Measured(group, silence.total_seconds(), lines)
            case Windows(earlier):
                return self._windows(measurement, group, rows, earlier)

    def _windows(
        self, measurement: Measurement, group: tuple[str, ...], rows: Sequence[_Row], earlier: int
    ) -> Measured:
        length = measurement.end - measurement.start
        # Rows at the very end of a window belong to the next one: its index counts from the earliest.
        counts = Counter((row["ts"] - measurement.earliest) // length for row in rows)
        usual = [
            counts[earlier - 1 - back]
            for back in range(earlier)
            if self._rows and self._rows[0]["ts"] <= measurement.start - length * (back + 1)
        ]
        return Measured(group, counts[earlier], counts[earlier], tuple(usual))

    def _between(self, rows: Sequence[_Row], start: datetime, end: datetime) -> Sequence[_Row]:
        return rows[bisect_left(rows, start, key=_ts) : bisect_left(rows, end, key=_ts)]


def _ts(row: _Row) -> datetime:
    ts: datetime = row["ts"]
    return ts
