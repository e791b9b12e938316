from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from batches import encoded
from exactness import violations
from manual_spool import turns

from logstreamd import maintenance
from logstreamd.config.retention import RetentionConfig
from logstreamd.maintenance import DatabaseKeeper, retention_policy
from logstreamd.metrics import Metrics
from logstreamd.record import Severity
from logstreamd.storage import blocks, counts
from logstreamd.storage import session as session_module
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.partitions import Partitions
from logstreamd.storage.retention_plan import RetentionPolicy, RetentionRule
from logstreamd.storage.session import Health, Session
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch

OURS, ANOTHERS = UUID(int=1), UUID(int=2)
DAY_US = 86_400_000_000


@pytest.fixture(autouse=True)
def _be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_SECONDS", "_PROBE_SECONDS"):
        monkeypatch.setattr(maintenance, name, 0.001)
    for name in ("_RETRY_INITIAL_SECONDS", "_RETRY_MAX_SECONDS", "_RETRY_JITTER_SECONDS"):
        monkeypatch.setattr(session_module, name, 0.01)


class Keeping:
    def __init__(
        self,
        dsn: str,
        retention_days: int | None,
        oldest_spooled_seconds: float,
        rules: tuple[RetentionRule, ...] = (),
    ) -> None:
        self.dsn = dsn
        self.metrics = Metrics(version="test", wire="python")
        self.health = Health(self.metrics)
        self.keeper = DatabaseKeeper(
            Session(lambda: connect(ConnectionSettings(self.dsn), purpose="keeper"), self.health),
            Partitions(),
            spool_id=lambda: OURS,
            oldest_spooled_seconds=lambda: oldest_spooled_seconds,
            retention=RetentionPolicy(retention_days, rules=rules),
            metrics=self.metrics,
        )
        self.task = asyncio.create_task(self.keeper.run())


@asynccontextmanager
async def keeping(
    dsn: str,
    *,
    retention_days: int | None = 30,
    oldest_spooled_seconds: float = 0,
    rules: tuple[RetentionRule, ...] = (),
) -> AsyncIterator[Keeping]:
    one = Keeping(dsn, retention_days, oldest_spooled_seconds, rules)
    try:
        yield one
    finally:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)
        await one.keeper.close()


async def until(connection: asyncpg.Connection, query: str) -> None:
    while not await connection.fetchval(query):
        await asyncio.sleep(0.005)


def partition(days_from_today: int) -> str:
    return f"logs_{datetime.now(UTC).date() + timedelta(days=days_from_today):%Y%m%d}"


async def test_an_empty_database_gets_the_schema_and_partitions_ahead(empty_database: str) -> None:
    async with keeping(empty_database) as one:
        await asyncio.wait_for(one.keeper.migrated.wait(), 20)
        assert one.health.problem is None
        connection = await connect(ConnectionSettings(empty_database), purpose="test")
        for days in (0, 1, 2):
            assert await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", partition(days))
        await connection.close()


async def test_a_writer_gets_the_partitions_it_needs(database: str, connection: asyncpg.Connection) -> None:
    session = Session(
        lambda: connect(ConnectionSettings(database), purpose="writer"), Health(Metrics(version="t", wire="python"))
    )
    day = 20_000 * DAY_US  # 2024-10-04
    async with keeping(database) as one:
        await one.keeper.migrated.wait()
        await one.keeper.prepare(session, day, day + DAY_US)
    await session.close()
    for name in ("logs_20241004", "logs_20241005"):
        assert await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name)


async def test_a_database_that_comes_late_is_waited_for(empty_database: str) -> None:
    async with keeping(empty_database.replace("user=", "user=not_yet_")) as one:
        while one.health.problem in (None, "not connected yet"):
            await asyncio.sleep(0.001)
        assert not one.keeper.migrated.is_set()
        one.dsn = empty_database
        await asyncio.wait_for(one.keeper.migrated.wait(), 20)


async def test_a_database_of_a_newer_version_is_left_alone_until_it_can_be_used(
    database: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("INSERT INTO schema_version (version, name, checksum) VALUES (9999, 'future', '')")
    async with keeping(database) as one:
        while "9999_future.sql was applied by a newer one" not in str(one.health.problem):
            await asyncio.sleep(0.001)
        assert not one.keeper.migrated.is_set()
        await connection.execute("UPDATE schema_version SET additive = true WHERE version = 9999")
        await asyncio.wait_for(one.keeper.migrated.wait(), 20)
        assert one.health.problem is None


async def test_an_outage_is_noticed_while_no_message_arrives(database: str, connection: asyncpg.Connection) -> None:
    async with keeping(database) as one:
        await one.keeper.migrated.wait()
        good, one.dsn = one.dsn, "postgresql:///x?host=/nowhere&user=x"
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'logstreamd keeper'"
        )
        while one.health.problem is None:
            await asyncio.sleep(0.001)
        one.dsn = good
        while one.health.problem is not None:
            await asyncio.sleep(0.001)


async def test_days_beyond_the_retention_are_dropped_and_others_kept(
    database: str, connection: asyncpg.Connection
) -> None:
    partitions = Partitions()
    today = datetime.now(UTC).date()
    await partitions.ensure(connection, {today - timedelta(days=3), today - timedelta(days=2)})
    async with keeping(database, retention_days=2):
        await until(connection, f"SELECT to_regclass('{partition(-3)}') IS NULL")
    assert await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", partition(-2))


@pytest.mark.parametrize(
    ("oldest_spooled_seconds", "kept"),
    [(0.0, ["23 hours", "1 hour"]), (86_400.0, ["47 hours", "23 hours", "1 hour"])],
)
async def test_marks_are_pruned_when_no_batch_of_theirs_can_come_again(
    database: str, connection: asyncpg.Connection, oldest_spooled_seconds: float, kept: list[str]
) -> None:
    ages = ["49 hours", "47 hours", "23 hours", "1 hour"]
    for seq, age in enumerate(ages):
        for spool in (OURS, ANOTHERS):
            await connection.execute(
                "INSERT INTO spool_marks VALUES ($1, $2, 1, now() - $3::text::interval)", spool, seq, age
            )
    one = Keeping(database, None, oldest_spooled_seconds)
    one.task.cancel()
    await turns()
    await one.keeper._prune_marks(connection)
    left = await connection.fetch("SELECT spool_id, seq FROM spool_marks ORDER BY seq")
    assert [ages[row["seq"]] for row in left if row["spool_id"] == OURS] == kept
    assert [ages[row["seq"]] for row in left if row["spool_id"] == ANOTHERS] == ages


async def test_requests_are_forgotten_after_a_week(database: str, connection: asyncpg.Connection) -> None:
    for part, age in enumerate(("8 days", "6 days")):
        await connection.execute(
            "INSERT INTO request_marks VALUES ($1, $2, now() - $3::text::interval)", OURS, part, age
        )
    one = Keeping(database, None, 0)
    one.task.cancel()
    await turns()
    await one.keeper._prune_marks(connection)
    assert [row["part"] for row in await connection.fetch("SELECT part FROM request_marks")] == [1]


async def test_nothing_is_pruned_before_the_spool_could_say_what_it_holds(
    database: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("INSERT INTO spool_marks VALUES ($1, 1, 1, now() - interval '3 days')", OURS)
    probes = 0

    async def count_probe(_: asyncpg.Connection) -> None:
        nonlocal probes
        probes += 1

    async with keeping(database) as one:
        one.keeper._jobs[0].work = count_probe
        while probes < 5:
            await asyncio.sleep(0.001)
        assert one.task.done() is False
    assert await connection.fetchval("SELECT count(*) FROM spool_marks") == 1


async def store(connection: asyncpg.Connection, seqs: Iterable[int], level: str) -> None:
    """Store batches of one row that arrived two days ago."""
    for seq in seqs:
        batch = Batch("tcp")
        frame = b'{"level": "%s", "message": "hello"}' % level.encode()
        batch.append(frame, int(time.time() * 1_000_000) - 2 * DAY_US, batch.peer_id("192.0.2.7"))
        await store_batch(connection, batch, encoded(batch, seq), spool_id=OURS, seq=seq)


async def test_counts_are_folded_blocks_are_merged_and_old_rows_go(
    database: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FOLD_SECONDS", "_MERGE_SECONDS", "_RETENTION_SECONDS"):
        monkeypatch.setattr(maintenance, name, 0.001)
    monkeypatch.setattr(blocks, "SETTLE_SECONDS", 0.0)
    await store(connection, range(1, 11), "debug")
    await store(connection, range(11, 21), "info")
    rules = (RetentionRule(1, (Severity.DEBUG,)),)
    async with keeping(database, rules=rules) as one:
        await until(connection, "SELECT NOT EXISTS (SELECT FROM logs WHERE severity = 7)")
        await until(connection, "SELECT count(*) = 1 FROM blocks")
        await until(connection, "SELECT NOT EXISTS (SELECT FROM batch_counts)")

        def count(name: str) -> float:
            return one.metrics.registry.get_sample_value(f"logstreamd_{name}_total") or 0

        assert (count("retired_rows"), count("retired_bytes")) == (10, 0)
        assert count("folded_counts") >= 20
        assert count("merged_blocks") >= 10
    assert await violations(connection) == {}


async def test_a_job_with_more_to_do_gets_its_next_turn_soon(
    database: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_BATCHES", 2)
    monkeypatch.setattr(maintenance, "_FOLD_SECONDS", 3_600.0)
    await store(connection, range(1, 8), "info")
    async with keeping(database):
        await until(connection, "SELECT NOT EXISTS (SELECT FROM batch_counts)")


def test_the_words_of_the_configuration_become_numbers() -> None:
    config = RetentionConfig.model_validate(
        {
            "days": 30,
            "max_bytes": "1GiB",
            "rules": [{"level": ["debug", "info"], "days": 3}, {"service": "a", "days": 7}],
        }
    )
    assert retention_policy(config) == RetentionPolicy(
        30, 1 << 30, (RetentionRule(3, (7, 6)), RetentionRule(7, tuple(range(8)), ("a",)))
    )


async def test_a_job_that_fails_does_not_keep_the_others_from_their_turn(
    database: str, connection: asyncpg.Connection
) -> None:
    done = asyncio.Event()
    failures = 0

    async def fails(_: asyncpg.Connection) -> None:
        nonlocal failures
        failures += 1
        raise asyncpg.InsufficientPrivilegeError("not yours")

    async def works(_: asyncpg.Connection) -> None:
        if failures > 2:
            done.set()

    async with keeping(database) as one:
        one.keeper._jobs[1].work, one.keeper._jobs[0].work = fails, works
        await asyncio.wait_for(done.wait(), 20)
