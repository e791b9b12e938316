"""Rules on generated load whose alerts are computed beforehand, line by line: none missed, none doubled, none late.


The lines, the rules and what happens to the daemons are the test's, PostgreSQL is real. Time is the test's, too: each
second the lines that arrive in it are stored, up to two seconds late, and then the second passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg
import pytest
from evaluating_daemon import EvaluatingDaemon, end_leader, until
from stored_lines import store
from watching import FakeClock

from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.rule import Rule, RuleGroup
from logstreamd.alerts.schedule import offset_of
from logstreamd.query.database import Database
from logstreamd.query.filter import parse_filter
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool

BEGIN = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DELAY = 3 * SECOND
LATEST = 2  # seconds that a line is late at most
DURATION = 100  # seconds
SERVICES = ("cart", "checkout", "search")
BY_SERVICE = (read_group_key("service"),)
ERROR = parse_filter("level>=error")

BURST = Rule(
    "Burst", read_condition("count >= 12"), 10 * SECOND, ERROR, BY_SERVICE, for_=6 * SECOND, interval=3 * SECOND
)
SHARE = Rule(
    "Share",
    read_condition("ratio(level>=error) > 50% and count >= 5"),
    8 * SECOND,
    by=BY_SERVICE,
    keep_firing_for=4 * SECOND,
    interval=2 * SECOND,
)
SILENT = Rule("Silent", read_condition("absent(lookback=40s)"), 7 * SECOND, by=BY_SERVICE, interval=2 * SECOND)
GROUPS = (
    RuleGroup("bursts", "rules.yaml", BURST.interval, 200, (BURST,)),
    RuleGroup("others", "rules.yaml", SHARE.interval, 200, (SHARE, SILENT)),
)

Happened = tuple[datetime, str, str, str, str]
"""When, which rule, which service, from which state into which."""


@dataclass(frozen=True)
class Line:
    """One line of the load."""

    at: datetime
    service: str
    error: bool
    arrives: int  # in which second of the load

    @property
    def json(self) -> str:
        level = "error" if self.error else "info"
        return f'{{"ts": "{self.at.isoformat()}", "level": "{level}", "service": "{self.service}", "message": "m"}}'


def generated(random: Random, wall: list[datetime]) -> list[Line]:
    """Return lines of services that go from calm to bursts and to silence, as their time of day is at each second."""
    lines = []
    for service in SERVICES:
        mood, until_second = "calm", random.randrange(15)
        for second, now in enumerate(wall):
            if second >= until_second:
                mood = random.choice([one for one in ("calm", "burst", "silence") if one != mood])
                until_second = second + random.randint(6, 22)
            errors, others = {"calm": (0, 1), "burst": (random.randint(1, 4), 1), "silence": (0, 0)}[mood]
            for number in range(errors + others):
                at = now + timedelta(microseconds=random.randrange(1_000_000))
                lines.append(Line(at, service, number < errors, second + random.randint(0, LATEST)))
    return [replace(line, arrives=before_the_clock_is_set(line, wall)) for line in lines]


def before_the_clock_is_set(line: Line, wall: list[datetime]) -> int:
    """Return when a line arrives: what is on its way when the clock is set ahead arrives before that."""
    for second in range(1, min(line.arrives, len(wall) - 1) + 1):
        if line.at < wall[second - 1] + SECOND < wall[second]:
            return second - 1
    return line.arrives


@dataclass
class Truth:
    """What a rule has to find, computed in the plainest way."""

    rule: Rule
    lines: list[Line]
    pending: dict[str, datetime] = field(default_factory=dict)
    firing: set[str] = field(default_factory=set)
    cleared: dict[str, datetime] = field(default_factory=dict)

    def holds(self, service: str, instant: datetime) -> bool:
        """Tell whether the condition holds of a service at an instant."""
        end = instant - DELAY
        mine = [line for line in self.lines if line.service == service and line.at < end]
        window = [line for line in mine if line.at >= end - self.rule.over]
        errors = sum(line.error for line in window)
        match self.rule.alert:
            case "Burst":
                return errors >= 12
            case "Share":
                return len(window) >= 5 and errors / len(window) > 0.5
            case _:
                return not window and any(line.at >= end - 40 * SECOND for line in mine)

    def at(self, instant: datetime) -> Iterator[Happened]:
        """Yield what happens at an instant."""
        for service in SERVICES:
            before = "firing" if service in self.firing else "pending" if service in self.pending else "inactive"
            after = self._step(service, before, instant)
            if after != before:
                yield instant, self.rule.alert, service, before, after

    def _step(self, service: str, before: str, instant: datetime) -> str:
        if self.holds(service, instant):
            self.cleared.pop(service, None)
            since = self.pending.setdefault(service, instant)
            if before == "firing" or instant - since >= self.rule.for_:
                self.firing.add(service)
                return "firing"
            return "pending"
        if before == "firing" and instant - self.cleared.setdefault(service, instant) < self.rule.keep_firing_for:
            return "firing"
        for known in (self.pending, self.cleared):
            known.pop(service, None)
        self.firing.discard(service)
        return "resolved" if before == "firing" else "inactive"


def expected(rule: Rule, group: RuleGroup, lines: list[Line], wall: list[datetime]) -> list[Happened]:
    """Return what a rule has to find when the time of day is this at each second."""
    offset = offset_of(group.name, group.interval)
    instants = sorted({now - (now - EPOCH - offset) % group.interval for now in wall})
    truth = Truth(rule, lines)
    return [happened for instant in instants for happened in truth.at(instant)]


class World:
    """The load, the clock and the daemons."""

    def __init__(self, dsn: str, connection: asyncpg.Connection, pool: asyncpg.Pool) -> None:
        self.dsn, self.connection, self.pool = dsn, connection, pool
        self.clock = FakeClock(BEGIN)
        self.daemons: list[EvaluatingDaemon] = []
        self.gone: list[EvaluatingDaemon] = []

    def launch(self) -> None:
        witness = StoredMeasurer(Database(self.pool, max_concurrent=4))
        self.daemons.append(EvaluatingDaemon(self.dsn, witness, *GROUPS, clock=self.clock.clock, delay=DELAY))

    @property
    def leader(self) -> EvaluatingDaemon | None:
        return next((one for one in self.daemons if one.lead.term), None)

    async def idle(self) -> None:
        """Wait until somebody leads and has done what is due.

        A daemon that has just taken over looks at its rules in the next second; the one before had done all until then.
        """
        await until(lambda: self.leader)
        await self.clock.settle()
        await until(lambda: self.leader and self.leader.is_idle())

    async def run(
        self, wall: list[datetime], lines: list[Line], disturb: Callable[[World, int], Awaitable[None]]
    ) -> None:
        """Let the load come; ``disturb`` may do anything between two seconds."""
        await self.idle()
        for second, now in enumerate(wall[:-1]):
            arriving = [line.json for line in lines if line.arrives == second]
            if arriving:
                await store(self.connection, *arriving, number=second + 1)
            await disturb(self, second)
            self.clock.set(wall[second + 1] - SECOND)
            assert now <= self.clock.wall
            await self.clock.advance(1)
            await self.idle()

    async def happened(self) -> list[Happened]:
        rows = await self.connection.fetch(
            "SELECT at, alert, labels->>'service', before, after FROM alert_events ORDER BY id"
        )
        return [tuple(row) for row in rows]

    async def kill(self, daemon: EvaluatingDaemon) -> None:
        await daemon.kill()
        self.daemons.remove(daemon)
        self.gone.append(daemon)


@pytest.fixture
async def world(database: str, connection: asyncpg.Connection) -> AsyncIterator[World]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=4)
    world = World(database, connection, pool)
    yield world
    for daemon in world.daemons:
        await daemon.stop()
    await pool.close()


async def nothing(world: World, second: int) -> None:
    """Leave them alone."""


async def restart(world: World, second: int) -> None:
    """Stop the only daemon and start another one, again and again, in the middle of every ``for``."""
    if second % 4 == 3:
        await world.daemons[0].stop()
        world.gone.append(world.daemons.pop())
        world.launch()
        await world.idle()


async def kill_the_leader(world: World, second: int) -> None:
    """Kill the daemon that leads, and start one that stands by."""
    if second % 5 == 4:
        assert world.leader is not None
        await world.kill(world.leader)
        await end_leader(world.connection)
        world.launch()
        await world.idle()


async def cut_the_leader_off(world: World, second: int) -> None:
    """End the connection of the daemon that leads: it goes on, and may lead again."""
    if second % 5 == 4:
        await end_leader(world.connection)
        first, second_one = world.daemons
        await first.lead.beat()  # finds out, whoever of them led
        while not await find_leader(second_one, first):
            pass


async def find_leader(*daemons: EvaluatingDaemon) -> bool:
    """Let daemons give a sign of life, one after the other; return whether one of them leads now."""
    for daemon in daemons:
        await daemon.lead.beat()
    return any(daemon.lead.term for daemon in daemons)


def steady(seconds: int) -> list[datetime]:
    return [BEGIN + second * SECOND for second in range(seconds + 1)]


def set_ahead(seconds: int) -> list[datetime]:
    """A clock that is set ahead by 17 seconds and a bit, three times."""
    ahead = timedelta(seconds=17, milliseconds=250)
    return [now + (second // 25) * ahead for second, now in enumerate(steady(seconds))]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
@pytest.mark.parametrize(
    ("daemons", "wall", "disturb"),
    [
        (1, steady(DURATION), nothing),
        (1, set_ahead(DURATION), nothing),
        (1, steady(DURATION), restart),
        (2, steady(DURATION), kill_the_leader),
        (2, steady(DURATION), cut_the_leader_off),
    ],
    ids=["undisturbed", "clock set ahead", "restarts", "leaders killed", "leaders cut off"],
)
async def test_what_happens_is_what_the_lines_say(
    world: World, daemons: int, wall: list[datetime], disturb: Callable[[World, int], Awaitable[None]], seed: int
) -> None:
    lines = generated(Random(seed), wall)
    for _ in range(daemons):
        world.launch()
    await world.run(wall, lines, disturb)

    truth = [one for group in GROUPS for rule in group.rules for one in expected(rule, group, lines, wall)]
    assert {one[1] for one in truth if one[4] == "resolved"} == {"Burst", "Share", "Silent"}  # the load is worth it
    assert sorted(await world.happened()) == sorted(truth)

    told = [one for daemon in (*world.daemons, *world.gone) for one in daemon.told()]
    begins = {(one[1], one[2], one[0]) for one in truth if one[4] == "firing"}
    for status, times in (("firing", begins), ("resolved", ended(truth))):
        assert {(labels["alertname"], labels["service"], at) for one, labels, at in told if one == status} == times
    if disturb is nothing:
        assert len(told) == len(begins) + len(ended(truth))


def ended(truth: list[Happened]) -> set[tuple[str, str, datetime]]:
    """Return the begins of the alerts that have ended."""
    begins: dict[tuple[str, str], datetime] = {}
    found = set()
    for at, rule, service, _, after in truth:
        if after == "firing":
            begins[rule, service] = at
        elif after == "resolved":
            found.add((rule, service, begins[rule, service]))
    return found
