"""When would a rule have fired on what is stored?

The rule is evaluated by the same evaluator as in the daemon, at whole multiples of its interval since the epoch. Its
windows end at the instant itself, and every line counts by its own time, as if none had been stored late. It begins
with no alert: what held before the first instant is pending from then on.

The database counts lines by steps of which every window consists, one stretch of time after the other; they are
forgotten when the windows have passed. Whole minutes come from the exact counts where these know what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import gcd
from typing import TypeAlias

from logstreamd.alerts.condition import Absent, Condition, Spike
from logstreamd.alerts.evaluate import evaluate
from logstreamd.alerts.measure import MeasureError, measurement_of
from logstreamd.alerts.measured import kind_of
from logstreamd.alerts.rollup import answerable_by_counts
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.sliding import SlidingMeasurer, StepTally
from logstreamd.alerts.state import Evaluation, RuleState
from logstreamd.query.steps import MINUTE, ceil_to
from logstreamd.query.tallies import TallyQuestion, find_first_line, read_tallies
from logstreamd.storage.migrate import Connection

__all__ = ["MAX_EVALUATIONS", "MAX_TALLIES", "Backtest", "Firing"]

MAX_EVALUATIONS = 1_000_000
"""Of one rule: 170 days at 15 s, and some minutes of work."""
MAX_TALLIES = 2_000_000
"""In memory: some 600 MB."""

_MICROSECOND = timedelta(microseconds=1)
# What one statement counts. An hour of 1,000 lines a second takes it a few seconds; counts are some thousand a day.
_SCANNED_AT_ONCE, _COUNTED_AT_ONCE = timedelta(hours=1), timedelta(days=1)

Reading: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(slots=True)
class Firing:
    """One time that an alert would have fired.

    Attributes:
        alert: the rule's name.
        labels: of the alert, its name not among them.
        pending_since: when its condition began to hold.
        fired_at: when it would have fired.
        resolved_at: when it would have resolved; None: it fires at the end.
        peak: the value that went furthest in the direction that is asked for, while it was pending or fired.
    """

    alert: str
    labels: dict[str, str]
    pending_since: datetime
    fired_at: datetime
    resolved_at: datetime | None
    peak: float


class Backtest:
    """Evaluates rules over stored lines.

    Args:
        reading: gives a connection in a read-only transaction for as long as the block lasts.
        since: no evaluation is before this.
        until: none is after this.
        step: from one evaluation to the next; None: the interval of the rule.
    """

    def __init__(self, reading: Reading, *, since: datetime, until: datetime, step: timedelta | None = None) -> None:
        self._reading = reading
        self._since = since
        self._until = until
        self._step = step

    def evaluations(self, rule: Rule) -> int:
        """Return how often a rule is evaluated."""
        interval = self._interval(rule)
        return max(0, (self._until - ceil_to(interval, self._since)) // interval + 1)

    async def run(self, rule: Rule, progress: Callable[[float], None] = lambda part: None) -> list[Firing]:
        """Evaluate a rule over the whole time.

        Args:
            rule: the rule.
            progress: told now and then which part is done, 0..1.

        Returns:
            When it would have fired, in order.

        Raises:
            MeasureError: there are too many different groups or values.
            asyncpg.PostgresError, OSError: the database does not answer.
        """
        count, interval = self.evaluations(rule), self._interval(rule)
        now = ceil_to(interval, self._since)
        async with self._reading() as connection:
            first_line = await find_first_line(connection)
        feed = _Feed(self._reading, rule, interval, now, now + (count - 1) * interval, first_line)
        state, watch = RuleState(), _Watch(rule)
        for number in range(count):
            if feed.end < now:
                progress(number / count)
                await feed.read_up_to(now)
            evaluation = evaluate(rule, state, now, feed.measurer.measure(measurement_of(rule, now)))
            watch.see(evaluation)
            state = evaluation.state
            now += interval
        return watch.firings

    def _interval(self, rule: Rule) -> timedelta:
        return rule.interval if self._step is None else self._step


class _Feed:
    """Reads what one rule asks for, and gives it to its measurer.

    Args:
        reading: see :class:`Backtest`.
        rule: the rule.
        interval: from one evaluation to the next.
        first: the first one.
        last: the last one.
        first_line: no stored line is earlier; None: there is none.

    Attributes:
        measurer: knows all lines of the windows that end at ``end`` or before.
        end: up to here everything is read.
    """

    def __init__(
        self,
        reading: Reading,
        rule: Rule,
        interval: timedelta,
        first: datetime,
        last: datetime,
        first_line: datetime | None,
    ) -> None:
        measurement = measurement_of(rule, first)
        spans = (interval, rule.over, measurement.end - measurement.earliest)
        self._step = gcd(*(span // _MICROSECOND for span in spans)) * _MICROSECOND
        self._counted = answerable_by_counts(measurement) and not self._step % MINUTE
        at_once = _COUNTED_AT_ONCE if self._counted else _SCANNED_AT_ONCE
        self._at_once = max(1, at_once // self._step) * self._step
        self._reading = reading
        self._kind = kind_of(measurement)
        self._last = last
        self.measurer = SlidingMeasurer(self._step, first_line)
        self.end = measurement.earliest

    async def read_up_to(self, now: datetime) -> None:
        """Read until all lines before an instant are known, and some more.

        Raises:
            MeasureError: they are too many.
        """
        while self.end < now:
            end = min(self.end + self._at_once, self._last)
            question = TallyQuestion(self._kind, self.end, end, self._step, self._counted)
            async with self._reading() as connection:
                rows = await read_tallies(connection, question, limit=MAX_TALLIES + 1)
            self.measurer.add(StepTally(tuple(group), *rest) for group, *rest in rows)
            self.end = end
            if self.measurer.size > MAX_TALLIES:
                raise MeasureError(f"more than {MAX_TALLIES} different groups and values in the windows of one instant")


class _Watch:
    """Sees how the alerts of a rule come and go."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._worse = _worse(rule.condition)
        self._peaks: dict[tuple[str, ...], float] = {}
        self._open: dict[tuple[str, ...], Firing] = {}
        self.firings: list[Firing] = []

    def see(self, evaluation: Evaluation) -> None:
        """See what became of the rule."""
        for transition in evaluation.transitions:
            group = transition.instance.group
            if transition.after in ("inactive", "resolved"):
                self._peaks.pop(group, None)
                if group in self._open:
                    self._open.pop(group).resolved_at = transition.instance.resolved_at
        for one in evaluation.state.instances:
            if one.state not in ("pending", "firing"):
                continue
            self._peaks[one.group] = self._worse(self._peaks.get(one.group, one.value), one.value)
            if one.fired_at is not None and one.group not in self._open:
                labels = {name: value for name, value in self._rule.labels_of(one.group).items() if name != "alertname"}
                self._open[one.group] = Firing(self._rule.alert, labels, one.active_at, one.fired_at, None, one.value)
                self.firings.append(self._open[one.group])
            if one.group in self._open:
                self._open[one.group].peak = self._peaks[one.group]


def _worse(condition: Condition) -> Callable[[float, float], float]:
    """Return what picks the value that went further in the direction that a condition asks for."""
    match condition:
        case Spike(side=side):
            below = side == "below"
        case Absent():
            below = False
        case _:
            below = condition.comparison.operator in ("<", "<=")
    return min if below else max
