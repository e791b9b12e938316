"""Folding changes where counts lie and never what they add up to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from batches import batch_of, encoded
from exactness import violations

from logstreamd.storage import counts
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.counts import Folded, fold_counts
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=7)


@pytest.fixture
async def other(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A second session."""
    connection = await connect(ConnectionSettings(database), purpose="other")
    yield connection
    await connection.close()


def lines(rng: random.Random, rows: int) -> list[str]:
    """Lines of three services (one of them none), all severities, within five minutes of two days."""
    return [
        f"<{8 + rng.randrange(8)}>1 2026-11-{rng.choice((21, 22))}T02:{rng.randrange(5):02}:00Z"
        f" web-1 {rng.choice(('checkout', 'nginx', '-'))} - - - number {n}"
        for n in range(rows)
    ]


async def store(connection: asyncpg.Connection, seq: int, rows: int = 50) -> None:
    batch = batch_of(lines(random.Random(seq), rows))
    await store_batch(connection, batch, encoded(batch, seq), spool_id=SPOOL, seq=seq)


async def table_counts(connection: asyncpg.Connection) -> tuple[int, int]:
    """How many rows are waiting, and how many are folded."""
    waiting = await connection.fetchval("SELECT count(*) FROM batch_counts")
    return waiting, await connection.fetchval("SELECT count(*) FROM folded_counts")


@pytest.mark.every_postgres
async def test_one_row_of_each_kind_is_left_and_the_sums_stay(connection: asyncpg.Connection) -> None:
    for seq in range(1, 21):
        await store(connection, seq)
    assert (await table_counts(connection))[0] == 20
    assert (await fold_counts(connection)).batches == 20
    waiting, folded = await table_counts(connection)
    kinds = "SELECT count(*) FROM (SELECT DISTINCT minute, service, severity FROM log_counts) AS kinds"
    assert (waiting, folded) == (0, await connection.fetchval(kinds))
    assert await violations(connection) == {}


async def test_late_rows_are_folded_into_what_was_folded_before(connection: asyncpg.Connection) -> None:
    for seq in range(1, 6):
        await store(connection, seq, rows=400)
        await fold_counts(connection)
    kinds = 2 * 5 * 3 * 8
    assert await table_counts(connection) == (0, kinds)
    assert await connection.fetchval("SELECT count(*) FROM folded_totals") == 2 * 5 * 8
    assert await violations(connection) == {}


async def test_a_kind_whose_rows_are_all_gone_leaves_no_count(connection: asyncpg.Connection) -> None:
    await store(connection, 1)
    await fold_counts(connection)
    await connection.execute(
        """
        INSERT INTO batch_counts
        SELECT array_agg(minute), array_agg(service), array_agg(severity), array_agg(-count), '{}', '{}', '{}'
        FROM (
            SELECT extract(epoch FROM minute)::bigint / 60 AS minute, service, severity, count FROM folded_counts
        ) AS kinds
        """
    )
    await fold_counts(connection)
    assert await table_counts(connection) == (0, 0)


async def test_a_round_is_bounded_and_says_that_there_is_more(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_BATCHES", 3)
    for seq in range(1, 6):
        await store(connection, seq)
    rounds = [await fold_counts(connection) for _ in range(2)]
    assert [(done.batches, done.more) for done in rounds] == [(3, True), (2, False)]
    assert await violations(connection) == {}


async def test_nothing_is_folded_while_another_session_has_the_turn(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    await store(connection, 1)
    async with other.transaction():
        assert (await fold_counts(other)).batches == 1
        await store(connection, 2)
        assert await fold_counts(connection) == Folded(0, 0)
        assert await violations(connection) == {}
    assert await violations(connection) == {}
    assert (await fold_counts(connection)).batches == 1


async def test_a_batch_that_is_not_committed_yet_is_folded_later(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    await store(connection, 1)
    transaction = other.transaction()
    await transaction.start()
    await store(other, 2)
    assert (await fold_counts(connection)).batches == 1
    assert await violations(connection) == {}
    await transaction.commit()
    assert await violations(connection) == {}
    assert (await fold_counts(connection)).batches == 1
    assert await violations(connection) == {}


async def test_whoever_reads_while_others_store_and_fold_finds_exact_counts(
    database: str, connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    writers_done = asyncio.Event()

    async def write() -> None:
        for seq in range(1, 40):
            await store(other, seq)
        writers_done.set()

    async def fold() -> None:
        folder = await connect(ConnectionSettings(database), purpose="folder")
        while not writers_done.is_set():
            await fold_counts(folder)
        await folder.close()

    tasks = [asyncio.create_task(write()), asyncio.create_task(fold())]
    while not writers_done.is_set():
        async with connection.transaction(isolation="repeatable_read"):
            assert await violations(connection) == {}
    await asyncio.gather(*tasks)
    assert await violations(connection) == {}
