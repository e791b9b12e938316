"""Rules on generated load whose alerts are computed beforehand, line by line: none missed, none doubled, none late.

The lines, the rules and what happens to the daemons are the test's, PostgreSQL is real. Time is the test's, too: each
second the lines that arrive in it are stored, up to two seconds late, and then the second passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
import pytest
from alert_truth import BEGIN, DELAY, RULES, SECOND, Happened, Line, ended, expected, generated
from evaluating_daemon import EvaluatingDaemon, end_leader, until
from stored_lines import store
from watching import FakeClock

from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.rule_file import load_rules
from logstreamd.query.database import Database
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool

DURATION = 80  # seconds


class World:
    """The load, the clock and the daemons."""

    def __init__(self, dsn: str, connection: asyncpg.Connection, pool: asyncpg.Pool, rules: Path) -> None:
        self.dsn, self.connection, self.pool = dsn, connection, pool
        self.groups = load_rules([rules])
        self.clock = FakeClock(BEGIN)
        self.daemons: list[EvaluatingDaemon] = []
        self.gone: list[EvaluatingDaemon] = []

    def launch(self) -> None:
        witness = StoredMeasurer(Database(self.pool, max_concurrent=4))
        self.daemons.append(EvaluatingDaemon(self.dsn, witness, *self.groups, clock=self.clock.clock, delay=DELAY))

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
            "SELECT at, alert, coalesce(labels->>'service', ''), before, after FROM alert_events ORDER BY id"
        )
        return [tuple(row) for row in rows]

    async def kill(self, daemon: EvaluatingDaemon) -> None:
        await daemon.kill()
        self.daemons.remove(daemon)
        self.gone.append(daemon)


@pytest.fixture
async def world(database: str, connection: asyncpg.Connection, tmp_path: Path) -> AsyncIterator[World]:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    pool = await create_reader_pool(ConnectionSettings(database), max_size=4)
    world = World(database, connection, pool, rules)
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

    truth = expected(world.groups, lines, wall)
    every_rule = {rule.alert for group in world.groups for rule in group.rules}
    assert {one[1] for one in truth if one[4] == "firing"} == every_rule  # the load is worth it
    assert sorted(await world.happened()) == sorted(truth)

    told = [one for daemon in (*world.daemons, *world.gone) for one in daemon.told()]
    begins = {(one[1], one[2], one[0]) for one in truth if one[4] == "firing"}
    for status, times in (("firing", begins), ("resolved", ended(truth))):
        found = {(labels["alertname"], labels.get("service", ""), at) for one, labels, at in told if one == status}
        assert found == times
    if disturb is nothing:
        assert len(told) == len(begins) + len(ended(truth))
