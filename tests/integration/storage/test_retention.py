"""What retention takes goes with its blocks and counts, and nobody who stores or reads waits for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg
import pytest
from batches import batch_of, encoded
from exactness import violations

from logstreamd.storage import retention as retention_module
from logstreamd.storage.blocks import BlockMerger
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.counts import fold_counts
from logstreamd.storage.partitions import Partitions
from logstreamd.storage.retention import Retention
from logstreamd.storage.retention_plan import Expired, RetentionPolicy, RetentionRule, plan_retention
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=7)
NOW = datetime(2026, 11, 22, 3, 0, 30, tzinfo=UTC)
DEBUG, INFO, ERROR = 7, 6, 3


def day(number: int) -> date:
    return date(2026, 11, number)


@pytest.fixture
async def other(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A second session."""
    connection = await connect(ConnectionSettings(database), purpose="other")
    yield connection
    await connection.close()


async def store(
    connection: asyncpg.Connection, seq: int, days: Iterable[int], *, rows: int = 40, services: str = "api nginx -"
) -> None:
    """A batch with rows of these days of the month, at any minute, of all levels and services."""
    rng = random.Random(seq)
    choices = list(days)
    batch = batch_of(
        f"<{8 + rng.randrange(8)}>1"
        f" 2026-11-{rng.choice(choices):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:59.9Z"
        f" web-1 {rng.choice(services.split())} - - - row {n}"
        for n in range(rows)
    )
    await store_batch(connection, batch, encoded(batch, seq), spool_id=SPOOL, seq=seq)


async def all_rounds(retention: Retention, connection: asyncpg.Connection) -> list[Expired]:
    went = await retention.round(connection, NOW)
    while retention.more:
        went += await retention.round(connection, NOW)
    return went


async def stored(connection: asyncpg.Connection, columns: str = "extract(day FROM ts)::integer") -> list[tuple]:
    query = f"SELECT {columns}, count(*) FROM logs GROUP BY {columns} ORDER BY {columns}"
    return [tuple(row) for row in await connection.fetch(query)]


async def ids(connection: asyncpg.Connection, condition: str) -> set[int]:
    return {row["id"] for row in await connection.fetch(f"SELECT id FROM logs WHERE {condition}")}


@pytest.fixture
async def partitions(connection: asyncpg.Connection) -> Partitions:
    """With the days 19 to 22; the others are in the default partition."""
    partitions = Partitions(pause_seconds=0)
    await partitions.ensure(connection, [day(number) for number in range(19, 23)])
    return partitions


@pytest.mark.every_postgres
@pytest.mark.parametrize("folded", [False, True])
async def test_old_days_go_with_their_blocks_and_counts(
    connection: asyncpg.Connection, partitions: Partitions, folded: bool
) -> None:
    for seq in range(1, 6):
        await store(connection, seq, range(15, 23))
    if folded:
        await fold_counts(connection)
    before = dict(await stored(connection))
    went = await all_rounds(Retention(RetentionPolicy(days=2), partitions), connection)
    assert [(one.day.day, one.rows) for one in went] == [(number, before[number]) for number in range(15, 20)]
    assert {one.why for one in went} == {"older than 2 days"}
    assert [number for number, _ in await stored(connection)] == [20, 21, 22]
    assert await violations(connection) == {}
    assert await connection.fetchval("SELECT count(*) FROM blocks WHERE day < '2026-11-20'") == 0
    assert await connection.fetchval("SELECT to_regclass('logs_20261119')") is None
    await fold_counts(connection)
    assert await connection.fetchval("SELECT count(*) FROM log_counts WHERE minute < '2026-11-20'") == 0


async def test_the_oldest_days_go_while_there_is_too_much(
    connection: asyncpg.Connection, partitions: Partitions
) -> None:
    await store(connection, 1, range(19, 23), rows=4_000)
    await fold_counts(connection)
    everything = await plan_retention(connection, RetentionPolicy(max_bytes=1), NOW)
    assert [one.day.day for one in everything] == [19, 20, 21]
    two_days = sum(one.byte_count for one in everything[:2])
    total = int(everything[0].why.split()[0].replace(",", ""))
    policy = RetentionPolicy(max_bytes=total - two_days)
    went = await all_rounds(Retention(policy, partitions), connection)
    assert [one.day.day for one in went] == [19, 20]
    assert await plan_retention(connection, policy, NOW) == []
    assert await violations(connection) == {}


async def test_a_plan_changes_nothing_and_is_what_goes_then(
    connection: asyncpg.Connection, partitions: Partitions
) -> None:
    await store(connection, 1, range(15, 23), rows=400)
    rules = (RetentionRule(1, (DEBUG,)), RetentionRule(2, services=("nginx",)))
    policy = RetentionPolicy(days=4, rules=rules)
    before = await stored(connection)
    planned = await plan_retention(connection, policy, NOW)
    assert await stored(connection) == before
    went = await all_rounds(Retention(policy, partitions), connection)
    assert [(one.day, one.why) for one in went] == [(one.day, one.why) for one in planned]
    first_of_each_day = {one.day: one.rows for one in reversed(planned)}
    assert {one.day: one.rows for one in reversed(went)} == first_of_each_day
    assert await plan_retention(connection, policy, NOW) == []


@pytest.mark.every_postgres
@pytest.mark.parametrize(
    ("rule", "condition"),
    [
        (RetentionRule(1, (DEBUG, INFO)), "severity >= 6"),
        (RetentionRule(1, services=("nginx", "absent")), "service = 'nginx'"),
        (RetentionRule(1, (ERROR,), ("api",)), "severity = 3 AND service = 'api'"),
        (RetentionRule(1), "true"),
    ],
    ids=str,
)
async def test_a_rule_takes_exactly_the_rows_it_is_about(
    connection: asyncpg.Connection, partitions: Partitions, rule: RetentionRule, condition: str
) -> None:
    for seq in range(1, 5):
        await store(connection, seq, range(17, 23), rows=300)
        if seq == 2:
            await fold_counts(connection)
    kept = await ids(connection, f"NOT ({condition} AND ts < '2026-11-21 03:00Z')")
    kept |= await ids(connection, "service IS NULL") if rule.services else set()
    retention = Retention(RetentionPolicy(rules=(rule,)), partitions)
    went = await all_rounds(retention, connection)
    assert await ids(connection, "true") == kept
    assert sum(one.rows for one in went) == 1_200 - len(kept)
    assert await violations(connection) == {}
    await fold_counts(connection)
    assert await violations(connection) == {}
    assert await all_rounds(retention, connection) == []


async def test_rows_of_a_block_within_a_merged_one_are_taken_off_their_own_block(
    connection: asyncpg.Connection, partitions: Partitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.storage.blocks.SETTLE_SECONDS", 0.0)
    for seq in (1, 2, 4, 5):
        await store(connection, seq, [20])
    assert (await BlockMerger().merge(connection)).parts == 4
    await store(connection, 3, [20])
    await all_rounds(Retention(RetentionPolicy(rules=(RetentionRule(1, (DEBUG, INFO)),)), partitions), connection)
    assert await connection.fetchval("SELECT count(*) FROM blocks") == 2
    assert await violations(connection) == {}


async def test_work_that_takes_long_is_done_in_rounds(
    connection: asyncpg.Connection, partitions: Partitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "ROUND_SECONDS", 1.5)
    times = iter(range(1_000))
    retention = Retention(
        RetentionPolicy(rules=(RetentionRule(1, (DEBUG,)),)), partitions, clock=lambda: next(times) * 0.5
    )
    monkeypatch.setattr(retention_module.asyncio, "sleep", _no_pause)
    for seq in range(1, 8):
        await store(connection, seq, [20])
    expected = len(await ids(connection, "severity = 7"))
    rounds = [await retention.round(connection, NOW)]
    while retention.more:
        rounds.append(await retention.round(connection, NOW))
        assert await violations(connection) == {}
    assert len(rounds) > 3
    assert sum(one.rows for gone in rounds for one in gone) == expected


async def test_another_policy_ends_the_pass_and_is_what_the_next_round_goes_by(
    connection: asyncpg.Connection, partitions: Partitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "ROUND_SECONDS", 0.0)
    for seq in range(1, 6):
        await store(connection, seq, range(15, 23))
    retention = Retention(RetentionPolicy(days=1), partitions)
    await retention.round(connection, NOW)  # planned, and out of time at once
    retention.replace(RetentionPolicy(days=4))
    assert retention.more
    monkeypatch.undo()
    went = await all_rounds(retention, connection)
    assert {one.day.day for one in went} == {15, 16, 17}
    assert [number for number, _ in await stored(connection)] == [18, 19, 20, 21, 22]


async def _no_pause(_: float) -> None:
    pass


async def test_whoever_has_a_day_open_keeps_it_until_the_next_time_and_nobody_who_stores_waits_for_long(
    connection: asyncpg.Connection, other: asyncpg.Connection, partitions: Partitions, database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("logstreamd.storage.partitions.DETACH_ATTEMPTS", 3)
    for seq in (1, 2):
        await store(connection, seq, range(19, 23))
    before = await stored(connection)
    retention = Retention(RetentionPolicy(days=2, rules=(RetentionRule(1, (DEBUG,)),)), partitions)
    settings = ConnectionSettings(database, lock_timeout_seconds=2)  # a lock of more than that fails the test
    writer = await connect(settings, purpose="writer")
    async with other.transaction():
        await other.fetch("SELECT FROM logs")
        applying = asyncio.create_task(all_rounds(retention, connection))
        seq = 10
        while not applying.done():
            await store(writer, seq, range(19, 23), rows=5)
            seq += 1
        assert date(2026, 11, 19) not in [one.day for one in await applying]
        assert dict(await stored(other))[19] >= dict(before)[19]
    assert (await all_rounds(retention, connection))[0].day == day(19)
    assert [number for number, _ in await stored(connection)] == [20, 21, 22]
    assert await violations(connection) == {}
    await writer.close()


async def test_what_is_stored_of_a_day_while_it_is_dropped_is_cleared_with_it(
    connection: asyncpg.Connection, other: asyncpg.Connection, partitions: Partitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(connection, 1, [19, 21])
    clear_day = retention_module._clear_day

    async def clear_and_store(*arguments) -> None:
        await clear_day(*arguments)
        await store(other, 2, [19, 20])
        assert await violations(other) == {}

    monkeypatch.setattr(retention_module, "_clear_day", clear_and_store)
    await all_rounds(Retention(RetentionPolicy(days=2), partitions), connection)
    assert [number for number, _ in await stored(connection)] == [20, 21]
    assert await violations(connection) == {}
    await fold_counts(connection)
    assert await violations(connection) == {}


async def test_late_rows_of_a_day_that_was_dropped_go_the_next_time(
    connection: asyncpg.Connection, partitions: Partitions
) -> None:
    retention = Retention(RetentionPolicy(days=2), partitions)
    await store(connection, 1, range(19, 23))
    await all_rounds(retention, connection)
    await store(connection, 2, range(17, 23))
    assert await violations(connection) == {}
    assert {one.day.day for one in await all_rounds(retention, connection)} == {17, 18, 19}
    assert await violations(connection) == {}


async def test_whoever_reads_while_rows_go_finds_exact_counts(
    connection: asyncpg.Connection, other: asyncpg.Connection, partitions: Partitions
) -> None:
    for seq in range(1, 12):
        await store(connection, seq, range(17, 23))
    rules = (RetentionRule(1, (DEBUG, INFO)), RetentionRule(2, services=("nginx",)))
    applying = asyncio.create_task(all_rounds(Retention(RetentionPolicy(rules=rules), partitions), other))
    while not applying.done():
        async with connection.transaction(isolation="repeatable_read"):
            assert await violations(connection) == {}
    assert sum(one.rows for one in await applying) > 0
    assert await violations(connection) == {}


async def test_nothing_goes_while_another_session_has_the_turn(
    connection: asyncpg.Connection, other: asyncpg.Connection, partitions: Partitions
) -> None:
    await store(connection, 1, range(15, 23))
    retention = Retention(RetentionPolicy(days=4, rules=(RetentionRule(1, (DEBUG,)),)), partitions)
    async with other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('logstreamd maintenance', 0))")
        assert await all_rounds(retention, connection) == []
    assert await all_rounds(retention, connection) != []
