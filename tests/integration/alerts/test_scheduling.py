"""The schedule on a real PostgreSQL and by the real clock: slow questions, a database that goes away, rivals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from batches import encoded
from watching import Messenger, group_of, rule_of

from logstreamd.alerts.aggregate import Lines
from logstreamd.alerts.clock import Clock
from logstreamd.alerts.evaluator import Evaluator
from logstreamd.alerts.hand_over import HandOver
from logstreamd.alerts.journal_stored import StoredJournal
from logstreamd.alerts.lead import Lead
from logstreamd.alerts.measure import Answer, Measurement
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.scheduler import Scheduler
from logstreamd.alerts.watched import Roster
from logstreamd.metrics import Metrics
from logstreamd.query.database import Database
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch

SECOND = timedelta(seconds=1)


class PartlySlow(StoredMeasurer):
    """A measurer to which questions about hours are hard."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked_of = database

    async def measure(self, measurement: Measurement) -> Answer:
        if measurement.end - measurement.start > timedelta(hours=1):
            async with self.asked_of.reading() as connection:
                await connection.execute("SELECT pg_sleep(60)")
        assert isinstance(measurement.aggregate, Lines)
        return await super().measure(measurement)


class Daemon:
    """The evaluating part of one."""

    def __init__(self, dsn: str, pool: asyncpg.Pool, *rules: Rule) -> None:
        self.roster, self.messenger, clock = Roster([group_of(*rules)]), Messenger(), Clock()
        settings = ConnectionSettings(dsn, statement_timeout_seconds=4)
        self.journal = StoredJournal(lambda: connect(settings, purpose="alerts"), events_kept=timedelta(days=90))
        hand_over = HandOver(self.messenger, lambda: self.lead.silences, clock.now, external_url="", delay=timedelta())
        self.lead = Lead(self.journal, lambda: self.roster.groups, hand_over, clock)
        evaluator = Evaluator(
            PartlySlow(Database(pool, max_concurrent=4)),
            self.journal,
            hand_over,
            Metrics(version="test", wire="python"),
            clock,
            delay=timedelta(),
            timeout_seconds=0.5,
        )
        self.scheduler = Scheduler(
            self.roster, evaluator, self.lead, clock, ready=lambda: asyncio.sleep(0), most_at_once=4
        )
        self.task = asyncio.create_task(self.scheduler.run())

    async def stop(self) -> None:
        await self.scheduler.stop(1.0)
        await self.journal.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def launch(database: str) -> AsyncIterator[Callable[..., Daemon]]:
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=5), max_size=8)
    launched: list[Daemon] = []

    def launch(*rules: Rule) -> Daemon:
        launched.append(Daemon(database, pool, *rules))
        return launched[-1]

    yield launch
    for one in launched:
        await one.stop()
    await pool.close()


async def until(seen: Callable[[], Any]) -> None:
    """Look until there is something to see; pytest's timeout is the limit."""
    while not seen():
        await asyncio.sleep(0.02)


async def store_errors(connection: asyncpg.Connection, number: int, count: int = 3) -> None:
    batch = Batch("tcp")
    for _ in range(count):
        peer = batch.peer_id("192.0.2.7")
        batch.append(b'{"level": "error", "message": "refused"}', round(time.time() * 1_000_000), peer)
    await store_batch(connection, batch, encoded(batch, number), spool_id=UUID(int=7), seq=number)


async def events(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in await connection.fetch("SELECT before, after FROM alert_events ORDER BY id")]


def every_second(alert: str, over: timedelta) -> Rule:
    rule = rule_of(alert, "count >= 3")
    return Rule(alert, rule.condition, over, interval=SECOND)


@pytest.mark.slow  # by real seconds: on a machine that is busy with something else an instant may be missed
async def test_a_slow_question_makes_its_rule_unhealthy_and_the_others_miss_nothing(
    launch: Callable[..., Daemon], connection: asyncpg.Connection
) -> None:
    slow = [every_second(f"Slow{number}", timedelta(hours=2)) for number in range(6)]
    fine = [every_second(f"Fine{number}", 10 * SECOND) for number in range(6)]
    daemon = launch(*slow, *fine)
    await until(lambda: daemon.roster.rules[-1].state.measured_at)
    await store_errors(connection, 1)
    group, fine_ones = daemon.roster.groups[0], daemon.roster.rules[6:]
    await until(lambda: all(one.slow for one in daemon.roster.rules[:6]))  # by now it is known which they are
    start = group.evaluated
    await until(lambda: group.evaluated >= start + 2 * SECOND)
    before = [one.state.missed for one in fine_ones]
    await until(lambda: group.evaluated >= start + 6 * SECOND)
    assert [one.state.missed for one in fine_ones] == before
    states = {one.rule.alert: one.state for one in daemon.roster.rules}
    tried = [state for name, state in states.items() if name.startswith("Slow") and state.attempted_at]
    assert {state.problem for state in tried} == {"no answer within 0.5 s"}
    healthy = [state for name, state in states.items() if name.startswith("Fine")]
    assert {(state.problem, state.state) for state in healthy} == {("", "firing")}


async def test_while_the_database_is_away_nothing_flaps_and_afterwards_all_goes_on(
    launch: Callable[..., Daemon], postgres: EmbeddedPostgres, database: str, connection: asyncpg.Connection
) -> None:
    daemon = launch(every_second("Many", timedelta(minutes=10)))
    (watched,) = daemon.roster.rules
    await store_errors(connection, 1)
    await until(lambda: watched.state.state == "firing")
    name = await connection.fetchval("SELECT current_database()")

    server = await asyncpg.connect(postgres.dsn("postgres"))
    await server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await server.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await until(lambda: "the database is away" in watched.state.problem)
    assert watched.state.state == "firing"
    assert daemon.scheduler.status()["role"] == "waits for the database"

    await server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    await until(lambda: not watched.state.problem)
    assert daemon.scheduler.status()["role"] == "evaluates"
    assert [dict(row) for row in await server.fetch("SELECT 1 AS one")] == [{"one": 1}]
    await server.close()
    again = await asyncpg.connect(database)
    assert await events(again) == [("inactive", "firing")]
    await again.close()
    assert {alert.status for alert, _ in daemon.messenger.told} == {"firing"}
    assert len({alert.starts_at for alert, _ in daemon.messenger.told}) == 1


async def test_however_often_the_lead_changes_nothing_happens_twice(
    launch: Callable[..., Daemon], connection: asyncpg.Connection
) -> None:
    daemons = [launch(every_second("Many", 2 * SECOND)) for _ in range(2)]
    await until(lambda: any(one.lead.term for one in daemons))
    leaders = set()
    for number in range(1, 4):
        await store_errors(connection, number)
        await until(lambda: any(one.lead.term and one.roster.count("firing") for one in daemons))
        leader = next(one for one in daemons if one.lead.term)
        leaders.add(id(leader))
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON oid = database"
            " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        )
        await until(lambda: any(one.lead.term and not one.roster.count("firing") for one in daemons))
    found = await events(connection)
    assert found == [("inactive", "firing"), ("firing", "resolved")] * 3
    for alert in {alert.starts_at: alert for one in daemons for alert, _ in one.messenger.told}.values():
        told = [one for daemon in daemons for one, _ in daemon.messenger.told if one.starts_at == alert.starts_at]
        assert {one.fingerprint for one in told} == {alert.fingerprint}
        assert {one.status for one in told} == {"firing", "resolved"}
