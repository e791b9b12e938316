"""Evaluates every group of rules at its instants, for as long as this daemon has the lead.

Two clocks: the time of day says which instants have come, a steady clock how long to wait. It is looked at every
second at least, so a clock that is set is noticed at once: behind a jump forward the newest instant is evaluated (and
the missed ones are counted), behind a jump back evaluation goes on from there (see ``evaluate`` and ``schedule``).

Each rule is a task of its own: one that waits or fails is in nobody's way. A rule that is still busy when its next
instant comes misses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from logstreamd import tracing
from logstreamd.alerts.clock import Clock
from logstreamd.alerts.evaluator import Evaluator
from logstreamd.alerts.journal import JournalError
from logstreamd.alerts.lanes import Lanes
from logstreamd.alerts.lead import Lead
from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.schedule import instant_at, is_due
from logstreamd.alerts.watched import Roster, Watched, WatchedGroup

__all__ = ["Scheduler"]

_log = structlog.get_logger(__name__)

_BEAT_SECONDS = 1.0
_LONGEST_SLEEP_SECONDS = 1.0  # until a clock that was set is noticed
_LOG_HEALTH_SECONDS = 10.0


class Scheduler:
    """Runs the evaluations.

    Args:
        roster: the rules.
        evaluator: does one evaluation.
        lead: whether there is anything to do.
        clock: the time.
        ready: returns when the database has its tables.
        most_at_once: rules that may be asked at once.
    """

    def __init__(
        self,
        roster: Roster,
        evaluator: Evaluator,
        lead: Lead,
        clock: Clock,
        *,
        ready: Callable[[], Awaitable[object]],
        most_at_once: int,
    ) -> None:
        self._roster = roster
        self._evaluator = evaluator
        self._lead = lead
        self._clock = clock
        self._ready = ready
        self._lanes = Lanes(most_at_once)
        self._beating = asyncio.Lock()
        self._paused = False
        self._loops: list[asyncio.Task[None]] = []
        self._evaluations: set[asyncio.Task[None]] = set()
        self._health_logged_at = clock.monotonic()
        self._unhealthy = 0

    async def run(self) -> None:
        """Evaluate until cancelled: the background task that has to be watched."""
        await self._ready()
        await self._beat()
        async with asyncio.TaskGroup() as group:
            self._loops = [
                group.create_task(self._beats(), name="alerts: signs of life"),
                group.create_task(self._ticks(), name="alerts: schedule"),
            ]
        await asyncio.Event().wait()  # stopped: that the loops are gone is not to be taken for a defect

    async def _beats(self) -> None:
        while True:
            await self._clock.sleep(_BEAT_SECONDS)
            await self._beat()
            self._log_health()

    async def _beat(self) -> None:
        """Give a sign of life; a daemon without rules leaves the lead to those that have some."""
        async with self._beating:
            if self._roster.groups:
                await self._lead.beat()
            else:
                await self._lead.leave()

    async def _ticks(self) -> None:
        while True:
            await self._clock.sleep(self._start_due())

    def _start_due(self) -> float:
        """Start what is due; return in how many seconds to look again."""
        now, pause = self._clock.now(), _LONGEST_SLEEP_SECONDS
        for group in self._roster.groups:
            interval = group.group.interval
            instant = instant_at(now, interval, group.offset)
            pause = min(pause, (instant + interval - now).total_seconds())
            if not self._paused and is_due(instant, group.evaluated, interval):
                self._start(group, instant)
        return pause

    def _start(self, group: WatchedGroup, instant: datetime) -> None:
        """Start the rules of a group in their order, if this daemon has the lead."""
        term, problem = self._lead.term, self._lead.problem
        if not term and problem is None:
            return
        group.evaluated = instant
        for watched in group.rules:
            if watched.busy:
                continue
            if not term:
                self._evaluator.fail(watched, instant, term, f"the database is away: {problem}")
                continue
            watched.busy = True
            work = self._evaluate_in_context(watched, group.group.name, instant, term)
            task = asyncio.create_task(work, name=f"alert {watched.rule.alert}")
            self._evaluations.add(task)
            task.add_done_callback(self._evaluations.discard)

    async def _evaluate_in_context(self, watched: Watched, group: str, instant: datetime, term: int) -> None:
        """Evaluate a rule; lines of the log that it causes say which one it is."""
        with bound_contextvars(rule=watched.rule.alert, group=group):
            await self._evaluate(watched, group, instant, term)

    async def _evaluate(self, watched: Watched, group: str, instant: datetime, term: int) -> None:
        attributes = {"logstreamd.rule": watched.rule.alert, "logstreamd.group": group}
        try:
            async with self._lanes.take(slow=watched.slow):
                if self._lead.term == term:
                    with tracing.span("rule", attributes=attributes) as span:
                        await self._evaluator.evaluate(watched, instant, term)
                        span.set("logstreamd.outcome", "failed" if watched.state.problem else "ok")
        except Exception as defect:  # a bug of ours in one rule: the others, and receiving, must go on
            _log.exception("a rule could not be evaluated")
            self._evaluator.fail(watched, instant, term, f"internal error: {defect!r}")
        finally:
            watched.busy = False

    def _log_health(self) -> None:
        """Say how many rules are unhealthy when that has changed, and not for each of them."""
        now = self._clock.monotonic()
        unhealthy = self._roster.unhealthy()
        if len(unhealthy) == self._unhealthy or now - self._health_logged_at < _LOG_HEALTH_SECONDS:
            return
        if unhealthy:
            first = unhealthy[0]
            _log.warning(
                "alert rules are unhealthy", rules=len(unhealthy), one=first.rule.alert, problem=first.state.problem
            )
        else:
            _log.info("all alert rules are healthy again")
        self._unhealthy, self._health_logged_at = len(unhealthy), now

    async def reload(self, groups: Iterable[RuleGroup]) -> None:
        """Watch other rules. Those whose alerts are still the same go on where they stand; alerts of others end.

        Args:
            groups: checked and complete.
        """
        self._paused = True
        try:
            await self._idle()
            async with self._beating:
                with suppress(JournalError):  # then the lead is lost, and what is in the journal counts
                    await self._lead.flush()
                self._roster.replace(groups)
                self._lead.begin_anew()
                await self._lead.beat()
        finally:
            self._paused = False

    async def look(self) -> None:
        """Look at once for what else is seen within a second: who leads, and what is silenced."""
        if not self._paused:  # else it is looked at anyway, or no more
            await self._beat()

    async def _idle(self) -> None:
        """Wait for the evaluations that run; each has a time limit of its own."""
        if self._evaluations:
            await asyncio.wait(self._evaluations)

    async def stop(self, deadline_seconds: float) -> None:
        """Finish the evaluations that run, and record where the rules stand.

        Args:
            deadline_seconds: for the evaluations; those that are not finished by then did not happen.
        """
        self._paused = True
        if self._evaluations:
            await asyncio.wait(self._evaluations, timeout=deadline_seconds)
        async with self._beating:  # a sign of life that is cut off would cost the lead before all is recorded
            tasks = [*self._evaluations, *self._loops]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._lead.flush()
        except JournalError as problem:
            _log.warning("where alert rules stand could not be recorded; changes of alerts are", problem=str(problem))

    def status(self) -> dict[str, Any]:
        """Return how the rules are doing."""
        return {
            "role": self._lead.role,
            "problem": self._lead.problem,
            "rules": len(self._roster.rules),
            "unhealthy": len(self._roster.unhealthy()),
            "pending": self._roster.count("pending"),
            "firing": self._roster.count("firing"),
            "silences": len(self._lead.silences),
        }
