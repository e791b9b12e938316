"""What a scheduler of alert rules needs, in memory: a clock that tests move, a journal, a measurer, a messenger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from logstreamd.alerts.aggregate import Measured
from logstreamd.alerts.alert import Alert
from logstreamd.alerts.clock import Clock
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.evaluator import Evaluator
from logstreamd.alerts.hand_over import HandOver
from logstreamd.alerts.journal import Beat, JournalError, Kept, LeadLostError
from logstreamd.alerts.lead import Lead
from logstreamd.alerts.measure import Answer, Measurement
from logstreamd.alerts.records import read_living
from logstreamd.alerts.rule import Rule, RuleGroup
from logstreamd.alerts.scheduler import Scheduler
from logstreamd.alerts.silence import Silence
from logstreamd.alerts.watched import Roster
from logstreamd.metrics import Metrics

__all__ = ["NOON", "Database", "FakeClock", "MemoryJournal", "Messenger", "Watch", "Witness", "group_of", "rule_of"]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_TURNS = 50  # of the event loop: more than any chain of tasks between two sleeps has


class FakeClock:
    """Time passes when a test says so."""

    def __init__(self, now: datetime = NOON) -> None:
        self.wall = now
        self.steady = 1_000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.clock = Clock(now=lambda: self.wall, monotonic=lambda: self.steady, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.steady + seconds, woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due on the way."""
        await self.settle()
        end = self.steady + seconds
        while self._sleepers and (first := min(at for at, _ in self._sleepers)) <= end + 1e-9:
            self._pass(max(0.0, first - self.steady))
            due = [woken for at, woken in self._sleepers if at <= self.steady + 1e-9]
            self._sleepers = [(at, woken) for at, woken in self._sleepers if at > self.steady + 1e-9]
            for woken in due:
                woken.set()
            await self.settle()
        self._pass(end - self.steady)

    def _pass(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds)

    def set(self, wall: datetime) -> None:
        """Set the time of day; no time passes."""
        self.wall = wall

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)


class Database:
    """What the journals of several daemons have in common."""

    def __init__(self) -> None:
        self.leader: MemoryJournal | None = None
        self.states: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.silences: list[Silence] = []
        self.away = False
        self.age_seconds = 0.0  # of the states

    def history(self) -> list[tuple[str, str]]:
        """Return what happened: before, after."""
        return [(one["before"], one["after"]) for one in self.events]


class MemoryJournal:
    """A journal as JSON in memory."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._terms = 0

    @property
    def term(self) -> int:
        return self._terms if self.database.leader is self else 0

    def _check(self) -> None:
        if self.database.away:
            self.lose_lead()
            raise JournalError("nobody answers")

    def lose_lead(self) -> None:
        if self.database.leader is self:
            self.database.leader = None

    async def beat(self, now: datetime) -> Beat:
        self._check()
        if self.database.leader is None:
            self.database.leader = self
            self._terms += 1
        return Beat(self.term, tuple(one for one in self.database.silences if one.ends_at > now))

    async def load(self) -> list[Kept]:
        self._check()
        samples = {
            (one["fingerprint"], datetime.fromisoformat(one["starts_at"])): one["samples"]
            for one in self.database.events
            if one["samples"]
        }
        return [
            Kept(
                **{**row, "alerts": tuple(read_living(one, samples) for one in row["alerts"])},
                age_seconds=self.database.age_seconds,
            )
            for row in map(json.loads, self.database.states.values())
        ]

    async def record(
        self,
        term: int,
        *,
        states: Sequence[Mapping[str, Any]] = (),
        events: Sequence[Mapping[str, Any]] = (),
        gone: Sequence[str] = (),
    ) -> None:
        self._check()
        if term != self.term:
            raise LeadLostError("somebody else leads")
        self.database.states |= {one["rule"]: json.dumps(one) for one in states}
        self.database.events += [dict(one) for one in events]
        for rule in gone:
            self.database.states.pop(rule, None)

    async def prune(self, now: datetime) -> None:
        self._check()

    async def close(self) -> None:
        self.lose_lead()


class Witness:
    """Answers with the value that a test sets for a rule's window length, of one group."""

    def __init__(self) -> None:
        self.value: float = 0
        self.asked: list[Measurement] = []
        self.shown: list[tuple[str, datetime, datetime]] = []
        self.measuring: Callable[[Measurement], Any] | None = None

    async def measure(self, measurement: Measurement) -> Answer:
        self.asked.append(measurement)
        if self.measuring is not None:
            await self.measuring(measurement)
        group = ("checkout",) if measurement.by else ()
        return Answer((Measured(group, self.value, round(self.value)),))

    async def samples(
        self, rule: Rule, group: tuple[str, ...], *, start: datetime, end: datetime, limit: int
    ) -> list[Mapping[str, Any]]:
        self.shown.append((rule.alert, start, end))
        return [{"ts": start, "message": f"line {number}"} for number in range(limit)]


class Messenger:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.receivers: tuple[str, ...] = ("ops", "chat")
        self.told: list[tuple[Alert, tuple[str, ...]]] = []
        self.waiting: set[str] = set()  # what untold() says
        self.stood_by = 0

    async def notify(self, alerts: Iterable[Alert], receivers: Iterable[str], *, interval_seconds: float) -> None:
        names = tuple(receivers)
        self.told += [(alert, names) for alert in alerts]

    def untold(self) -> set[str]:
        return self.waiting

    async def stand_by(self) -> None:
        self.stood_by += 1

    def news(self) -> list[tuple[str, str]]:
        """Return what the outbox would tell: status and rule, each firing and each resolution once."""
        said = {(alert.status, alert.fingerprint, alert.starts_at): alert for alert, _ in self.told}
        return [(alert.status, alert.labels["alertname"]) for alert in said.values()]


class Watch:
    """A scheduler with all its parts; several of them may have one database."""

    def __init__(
        self, *groups: RuleGroup, database: Database | None = None, clock: FakeClock | None = None, lanes: int = 2
    ) -> None:
        self.clock = clock or FakeClock()
        self.database = database or Database()
        self.journal = MemoryJournal(self.database)
        self.witness, self.messenger = Witness(), Messenger()
        self.metrics = Metrics(version="test", wire="python")
        self.roster = Roster(groups)
        clock_ = self.clock.clock
        delay = timedelta(seconds=5)
        hand_over = HandOver(
            self.messenger, lambda: self.lead.silences, clock_.now, external_url="http://logs.example", delay=delay
        )
        self.lead = Lead(self.journal, lambda: self.roster.groups, hand_over, clock_)
        evaluator = Evaluator(
            self.witness, self.journal, hand_over, self.metrics, clock_, delay=delay, timeout_seconds=10
        )
        self.scheduler = Scheduler(self.roster, evaluator, self.lead, clock_, ready=self._ready, most_at_once=lanes)
        self._task: asyncio.Task[None] | None = None

    async def _ready(self) -> None:
        """The database has its tables."""

    async def start(self) -> Watch:
        self._task = asyncio.create_task(self.scheduler.run())
        await self.clock.settle()
        return self

    async def stop(self) -> None:
        await self.scheduler.stop(0.1)
        await self.journal.close()
        await self.kill()

    async def kill(self) -> None:
        """End without a word: nothing is finished, nothing is recorded."""
        self.journal.lose_lead()
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def rule_of(alert: str = "Many", condition: str = "count > 10", **settings: Any) -> Rule:
    """A rule that is evaluated every 15 seconds."""
    return Rule(
        alert=alert,
        condition=read_condition(condition),
        over=timedelta(minutes=1),
        interval=timedelta(seconds=15),
        **settings,
    )


def group_of(*rules: Rule, name: str = "group") -> RuleGroup:
    return RuleGroup(name, "rules.yaml", rules[0].interval, 200, rules)
