"""The schedule on a real PostgreSQL: slow questions, a database that goes away, rules that are gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from batches import encoded
from evaluating_daemon import EvaluatingDaemon, until
from watching import FakeClock, group_of, rule_of

from logstreamd.alerts.aggregate import Lines
from logstreamd.alerts.clock import Clock
from logstreamd.alerts.measure import Answer, Measurement
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.query.database import Database
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch

SECOND = timedelta(seconds=1)
TIMEOUT_SECONDS = 0.5

Launch = Callable[..., EvaluatingDaemon]


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


@pytest.fixture
async def launch(database: str) -> AsyncIterator[Launch]:
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=5), max_size=8)
    launched: list[EvaluatingDaemon] = []

    def launch(*rules: Rule, clock: Clock | None = None) -> EvaluatingDaemon:
        witness = PartlySlow(Database(pool, max_concurrent=4))
        groups = [group_of(*rules)] if rules else []
        seconds = TIMEOUT_SECONDS if clock else 5.0
        daemon = EvaluatingDaemon(database, witness, *groups, clock=clock, timeout_seconds=seconds)
        launched.append(daemon)
        return daemon

    yield launch
    for one in launched:
        await one.stop()
    await pool.close()


async def store_errors(connection: asyncpg.Connection, number: int, at: float | None = None) -> None:
    """Store three errors, of now unless told otherwise."""
    batch = Batch("tcp")
    for _ in range(3):
        peer = batch.peer_id("192.0.2.7")
        batch.append(b'{"level": "error", "message": "refused"}', round((at or time.time()) * 1_000_000), peer)
    await store_batch(connection, batch, encoded(batch, number), spool_id=UUID(int=7), seq=number)


async def events(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in await connection.fetch("SELECT before, after FROM alert_events ORDER BY id")]


def every_second(alert: str, over: timedelta) -> Rule:
    rule = rule_of(alert, "count >= 3")
    return Rule(alert, rule.condition, over, interval=SECOND)


async def test_slow_questions_make_their_rules_unhealthy_and_the_others_miss_nothing(
    launch: Launch, connection: asyncpg.Connection
) -> None:
    seconds = FakeClock(datetime.now(UTC).replace(microsecond=0))
    slow = [every_second(f"Slow{number}", timedelta(hours=2)) for number in range(6)]
    fine = [every_second(f"Fine{number}", 10 * SECOND) for number in range(6)]
    await store_errors(connection, 1, seconds.wall.timestamp() - 1)
    # Instants come when the test says so; how long a question takes is real.
    clock = Clock(now=seconds.clock.now, monotonic=time.monotonic, sleep=seconds.clock.sleep)
    daemon = launch(*slow, *fine, clock=clock)
    group = daemon.roster.groups[0]
    slow_ones, fine_ones = group.rules[:6], group.rules[6:]
    await until(lambda: daemon.roster.rules[-1].state.measured_at and daemon.is_idle())
    assert all(one.slow for one in slow_ones)  # by now it is known which they are
    for _ in range(6):
        last = group.evaluated
        await seconds.advance(1)
        assert group.evaluated == last + SECOND
        await until(lambda: all(one.state.measured_at == group.evaluated for one in fine_ones))
    assert [one.state.missed for one in fine_ones] == [0] * 6
    assert {(one.state.problem, one.state.state) for one in fine_ones} == {("", "firing")}
    assert {one.state.problem for one in slow_ones} == {f"no answer within {TIMEOUT_SECONDS} s"}
    assert {one.state.measured_at for one in slow_ones} == {None}


async def test_while_the_database_is_away_nothing_flaps_and_afterwards_all_goes_on(
    launch: Launch, postgres: EmbeddedPostgres, database: str, connection: asyncpg.Connection
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
    await server.close()
    again = await asyncpg.connect(database)
    assert await events(again) == [("inactive", "firing")]
    await again.close()
    assert {alert.status for alert, _ in daemon.messenger.told} == {"firing"}
    assert len({alert.starts_at for alert, _ in daemon.messenger.told}) == 1


async def test_a_rule_that_is_gone_from_all_daemons_is_forgotten_by_one_without_rules(
    launch: Launch, connection: asyncpg.Connection
) -> None:
    first = launch(every_second("Many", timedelta(minutes=10)))
    await store_errors(connection, 1)
    await until(lambda: first.roster.count("firing"))
    await first.stop()
    await connection.execute("UPDATE alert_state SET saved_at = saved_at - interval '1 hour'")
    without = launch()
    await until(lambda: without.messenger.told)
    ((ended, _),) = without.messenger.told
    assert (ended.status, ended.annotations["reason"]) == ("resolved", "no daemon evaluates the rule any more")
    while await connection.fetchval("SELECT count(*) FROM alert_state"):
        await asyncio.sleep(0.005)
    assert await events(connection) == [("inactive", "firing"), ("firing", "resolved")]
