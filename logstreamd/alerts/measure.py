"""The question a rule asks of the stored lines, and the answer: all that the evaluation sees of the world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from logstreamd.alerts.aggregate import Aggregate, Measured, Share, Silence, Windows
from logstreamd.alerts.group_key import GroupKey
from logstreamd.alerts.rule import Rule
from logstreamd.query.filter import Filter
from logstreamd.query.filter.tree import EVERYTHING, And

__all__ = ["MAX_GROUPS", "Answer", "MeasureError", "Measurement", "Measurer", "measurement_of", "proof_filter"]

MAX_GROUPS = 10_000
"""Groups of one answer: some 3 MB, and more than anyone tells apart."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What to measure.

    Attributes:
        aggregate: what of each group.
        filter: which lines.
        by: each combination of these keys' values is a group; see :meth:`GroupKey.value_in`.
        start: begin of the window, inclusive.
        end: end of the window, exclusive; nothing at or after it is looked at.
    """

    aggregate: Aggregate
    filter: Filter
    by: tuple[GroupKey, ...]
    start: datetime
    end: datetime

    @property
    def earliest(self) -> datetime:
        """Nothing before this is looked at."""
        match self.aggregate:
            case Silence(lookback):
                return self.end - lookback
            case Windows(earlier):
                return self.start - (self.end - self.start) * earlier
        return self.start

    @property
    def proof_start(self) -> datetime:
        """Where lines that prove an alert begin: in the window, but of a silence before it, for it has none there."""
        return self.earliest if isinstance(self.aggregate, Silence) else self.start


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured.

    A group is in it when it has lines between ``earliest`` and ``end``. Without ``by`` there is one group, ``()``, and
    it is always in it: without lines its value is 0, and its silence the whole look-back.

    Attributes:
        measured: the groups, each once; when there are more than :data:`MAX_GROUPS`, those with most lines.
        cut: whether there were more.
    """

    measured: tuple[Measured, ...]
    cut: bool = False


class MeasureError(Exception):
    """Nothing could be measured; the text says why, for people."""


class Measurer(Protocol):
    """Whoever knows the stored lines."""

    async def measure(self, measurement: Measurement) -> Answer:
        """Answer one question.

        Raises:
            MeasureError: there is no answer, or none in time.
        """


def measurement_of(rule: Rule, now: datetime, delay: timedelta = timedelta()) -> Measurement:
    """Return what a rule asks at an instant.

    Args:
        rule: the rule.
        now: the instant of the evaluation.
        delay: how late lines may be stored; the window ends that much before ``now``.
    """
    end = now - delay
    return Measurement(rule.condition.aggregate, rule.query, rule.by, end - rule.over, end)


def proof_filter(rule: Rule, group: tuple[str, ...]) -> Filter:
    """Return which lines prove a group's alert: those of the group, and of a ratio the part that is counted."""
    terms = [rule.query, *(key.lines_with(value) for key, value in zip(rule.by, group, strict=True))]
    match rule.condition.aggregate:
        case Share(part):
            terms.append(part)
    terms = [term for term in terms if term != EVERYTHING]
    return terms[0] if len(terms) == 1 else And(tuple(terms))
