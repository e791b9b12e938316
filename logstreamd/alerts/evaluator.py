"""One evaluation of one rule, from the question to the outbox; the order of its steps is explained in ``journal``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from logstreamd import faults
from logstreamd.alerts.alert_codec import bounded_samples
from logstreamd.alerts.clock import Clock
from logstreamd.alerts.evaluate import evaluate, fail
from logstreamd.alerts.hand_over import HandOver
from logstreamd.alerts.journal import Journal, JournalError
from logstreamd.alerts.measure import MeasureError, Measurement, Measurer, measurement_of
from logstreamd.alerts.records import event_row, plain_rows
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import RuleState, Transition
from logstreamd.alerts.watched import Samples, Watched
from logstreamd.metrics import Metrics

__all__ = ["Evaluator", "Witness"]

_MOST_PROVEN = 20  # alerts of one evaluation that get lines: more are one cause, and twenty show it
_PROOF_SECONDS = 3.0  # for all of them together; an alert does not wait longer for its lines
_SLOW_PART = 0.5  # of the time a question may take: who takes more is slow


class Witness(Measurer, Protocol):
    """Whoever knows the stored lines, and can show them."""

    async def samples(
        self, rule: Rule, group: tuple[str, ...], *, start: datetime, end: datetime, limit: int
    ) -> list[Mapping[str, Any]]:
        """Return the newest lines that prove an alert, newest first.

        Raises:
            MeasureError: there is no answer, or none in time.
        """


class Evaluator:
    """Evaluates rules.

    Args:
        witness: asked.
        journal: told before anybody else.
        hand_over: where alerts go.
        metrics: counts evaluations.
        clock: measures them.
        delay: how late lines may be.
        timeout_seconds: for the question of one rule.
    """

    def __init__(
        self,
        witness: Witness,
        journal: Journal,
        hand_over: HandOver,
        metrics: Metrics,
        clock: Clock,
        *,
        delay: timedelta,
        timeout_seconds: float,
    ) -> None:
        self._witness = witness
        self._journal = journal
        self._hand_over = hand_over
        self._metrics = metrics
        self._clock = clock
        self._delay = delay
        self._timeout_seconds = timeout_seconds

    async def evaluate(self, watched: Watched, instant: datetime, term: int) -> None:
        """Evaluate a rule.

        Args:
            watched: the rule.
            instant: the time it is evaluated for.
            term: what is found counts when this is still the journal's term afterwards.
        """
        started = self._clock.monotonic()
        try:
            await self._evaluate(watched, instant, term)
        except (MeasureError, JournalError) as problem:
            self.fail(watched, instant, term, str(problem))
        watched.seconds = self._clock.monotonic() - started
        watched.slow = watched.seconds > _SLOW_PART * self._timeout_seconds
        self._metrics.alert_evaluation_seconds.observe(watched.seconds)

    def fail(self, watched: Watched, instant: datetime, term: int, problem: str) -> None:
        """Note that a rule could not be evaluated; all its alerts stay as they are."""
        if self._journal.term == term:
            self._accept(watched, fail(watched.rule, watched.state, instant, problem), {})
        self._metrics.alert_evaluations.labels("failed").inc()

    async def _evaluate(self, watched: Watched, instant: datetime, term: int) -> None:
        rule = watched.rule
        measurement = measurement_of(rule, instant, self._delay)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._witness.measure(measurement)
        except TimeoutError as problem:
            raise MeasureError(f"no answer within {self._timeout_seconds:g} s") from problem
        found = evaluate(rule, watched.state, instant, answer)
        samples = await self._prove(rule, found.transitions, measurement)
        if found.transitions or found.state.timers != watched.state.timers:
            await self._record(watched, found.state, found.transitions, samples, term)
        if self._journal.term != term:
            return  # whoever leads now goes on with what was recorded
        self._accept(watched, found.state, samples)
        self._metrics.alert_evaluations.labels("ok").inc()
        resolved = [one.instance for one in found.transitions if one.after == "resolved"]
        await self._hand_over.rule(watched, resolved)
        watched.handed_over = True

    async def _record(
        self,
        watched: Watched,
        state: RuleState,
        transitions: Iterable[Transition],
        samples: Mapping[tuple[str, ...], Samples],
        term: int,
    ) -> None:
        faults.hit("alerts.evaluated")
        events = [event_row(one, samples.get(one.instance.group, ())) for one in transitions]
        await self._journal.record(term, states=[watched.row(state, handed_over=False)], events=events)
        watched.handed_over, watched.marked = False, True
        faults.hit("alerts.recorded")

    def _accept(self, watched: Watched, state: RuleState, samples: Mapping[tuple[str, ...], Samples]) -> None:
        self._metrics.alert_missed_evaluations.inc(max(0, state.missed - watched.state.missed))
        watched.accept(state, samples)

    async def _prove(
        self, rule: Rule, transitions: Iterable[Transition], measurement: Measurement
    ) -> dict[tuple[str, ...], Samples]:
        """Return lines for the alerts that begin to fire; an alert without lines is better than one that is late."""
        groups = [one.instance.group for one in transitions if one.after == "firing"] if rule.samples else []
        found: dict[tuple[str, ...], Samples] = {}
        try:
            async with asyncio.timeout(_PROOF_SECONDS):
                for group in groups[:_MOST_PROVEN]:
                    rows = await self._witness.samples(
                        rule, group, start=measurement.proof_start, end=measurement.end, limit=rule.samples
                    )
                    found[group] = bounded_samples(plain_rows(rows))
        except (MeasureError, TimeoutError):
            self._metrics.alert_unproven.inc(len(groups) - len(found))
        return found
