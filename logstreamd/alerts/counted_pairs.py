"""What a measurement makes of a service and a severity, which is all that the counts know of a line."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from logstreamd.alerts.aggregate import Aggregate, Distinct, Share
from logstreamd.alerts.group_key import GroupKey
from logstreamd.alerts.measure import Measurement
from logstreamd.query.filter import Filter, matches
from logstreamd.query.minute_counts import Pair

__all__ = ["Counted", "PairJudge", "judge_of"]

_MOST_JUDGES = 4_096  # rules; each knows some hundred pairs


class Counted(NamedTuple):
    """Lines that are counted: in which group, by which value, and whether they belong to the part."""

    group: tuple[str, ...]
    value: str
    is_part: bool


class PairJudge(dict[Pair, Counted | None]):
    """Judges each pair once; None is for lines that are not counted."""

    def __init__(self, tree: Filter, by: tuple[GroupKey, ...], aggregate: Aggregate) -> None:
        super().__init__()
        self._filter = tree
        self._by = by
        self._aggregate = aggregate

    def __missing__(self, pair: Pair) -> Counted | None:
        row = {"service": pair[0], "severity": pair[1]}
        judged = None
        if matches(self._filter, row):
            aggregate = self._aggregate
            judged = Counted(
                tuple(key.value_in(row) for key in self._by),
                aggregate.key.value_in(row) if isinstance(aggregate, Distinct) else "",
                matches(aggregate.part, row) if isinstance(aggregate, Share) else False,
            )
        self[pair] = judged
        return judged


def judge_of(measurement: Measurement) -> PairJudge:
    """Return the judge of a measurement; the same one for all that ask the same at different times."""
    return _judge(measurement.filter, measurement.by, measurement.aggregate)


_judge = lru_cache(_MOST_JUDGES)(PairJudge)
