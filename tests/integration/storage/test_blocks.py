"""Merging blocks changes how many they are and never what they say, whatever others do meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from uuid import UUID

import asyncpg
import pytest
from batches import batch_of, encoded
from exactness import violations

from logstreamd.storage import blocks as blocks_module
from logstreamd.storage import merge_plan
from logstreamd.storage.blocks import SETTLE_SECONDS, BlockMerger, Merged
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.store import store_batch
from logstreamd.wire.bloom import may_contain, token_hash

SPOOL = UUID(int=7)


@pytest.fixture
async def other(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A second session."""
    connection = await connect(ConnectionSettings(database), purpose="other")
    yield connection
    await connection.close()


class Merging:
    """A merger whose clock is turned by hand."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._now = 0.0
        self._merger = BlockMerger(clock=lambda: self._now)

    async def round(self, *, after: float = 0.0) -> Merged:
        self._now += after
        return await self._merger.merge(self._connection)

    async def settled(self) -> Merged:
        """Notice what is there, wait until it is old enough, and do a round."""
        await self.round()
        return await self.round(after=SETTLE_SECONDS)


@pytest.fixture
def merging(connection: asyncpg.Connection) -> Merging:
    return Merging(connection)


def lines(seq: int, rows: int, days: tuple[int, ...] = (22,)) -> list[str]:
    rng = random.Random(seq)
    return [
        f"<{8 + rng.randrange(8)}>1 2026-11-{rng.choice(days)}T02:{rng.randrange(60):02}:00Z"
        f" web-{rng.randrange(4)} {rng.choice(('checkout', 'nginx', '-'))} - - - unique{seq}x{n}"
        for n in range(rows)
    ]


async def store(connection: asyncpg.Connection, seqs: Iterable[int], rows: int = 3, days: tuple[int, ...] = (22,)):
    for seq in seqs:
        batch = batch_of(lines(seq, rows, days))
        await store_batch(connection, batch, encoded(batch, seq), spool_id=SPOOL, seq=seq)


async def row_counts(connection: asyncpg.Connection) -> list[int]:
    found = await connection.fetch("SELECT row_count FROM blocks ORDER BY day, first_id")
    return [row["row_count"] for row in found]


async def admitted(connection: asyncpg.Connection, word: str) -> list[int]:
    """The first ids of the blocks that a search for the word reads."""
    found = await connection.fetch("SELECT first_id, bloom FROM blocks ORDER BY first_id")
    return [row["first_id"] >> 16 for row in found if may_contain(row["bloom"], token_hash(word))]


@pytest.mark.every_postgres
async def test_small_neighbours_become_one_block_that_admits_all_their_rows(
    connection: asyncpg.Connection, merging: Merging
) -> None:
    await store(connection, range(1, 101))
    assert await merging.settled() == Merged(parts=100, blocks=1, rows=300)
    assert await row_counts(connection) == [300]
    assert await violations(connection) == {}
    for seq in (1, 50, 100):
        assert await admitted(connection, f"unique{seq}x2") == [1]
    (block,) = await connection.fetch("SELECT first_id, last_id, hosts, services, xid FROM blocks")
    assert tuple(block.values()) == (
        1 << 16,
        (100 << 16) + 2,
        ["web-0", "web-1", "web-2", "web-3"],
        ["checkout", "nginx"],
        None,
    )


async def test_each_day_is_merged_by_itself(connection: asyncpg.Connection, merging: Merging) -> None:
    await store(connection, range(1, 30), rows=8, days=(20, 21, 22))
    assert (await merging.settled()).blocks == 3
    assert await connection.fetchval("SELECT count(*) FROM blocks") == 3
    assert await violations(connection) == {}


async def test_a_block_is_left_alone_until_it_has_settled(connection: asyncpg.Connection, merging: Merging) -> None:
    await store(connection, [1, 2])
    assert await merging.round() == Merged()
    assert await merging.round(after=SETTLE_SECONDS - 1) == Merged()
    await store(connection, [3, 4, 5])
    assert (await merging.round(after=1)).parts == 2
    assert await row_counts(connection) == [6, 3, 3, 3]
    assert (await merging.round(after=SETTLE_SECONDS - 2)).parts == 0
    assert (await merging.round(after=2)).parts == 4
    assert await row_counts(connection) == [15]


async def test_a_transaction_that_began_long_ago_has_not_settled(
    connection: asyncpg.Connection, other: asyncpg.Connection, merging: Merging
) -> None:
    transaction = other.transaction()
    await transaction.start()
    await store(other, [2])
    await store(connection, [1, 3])
    assert (await merging.settled()).parts == 0
    await transaction.commit()
    assert (await merging.round(after=1)).parts == 0
    assert (await merging.round(after=SETTLE_SECONDS)).parts == 3
    assert await violations(connection) == {}


async def test_a_batch_that_comes_after_the_merge_keeps_a_block_within_the_merged_one(
    connection: asyncpg.Connection, merging: Merging
) -> None:
    await store(connection, [1, 2, 4, 5])
    await merging.settled()
    await store(connection, [3, 6, 7])
    await merging.settled()
    assert await row_counts(connection) == [12, 3, 6]
    assert await violations(connection) == {}
    assert await admitted(connection, "unique3x0") == [3]


async def test_a_batch_that_is_stored_while_its_neighbours_are_merged_is_neither_lost_nor_counted_twice(
    connection: asyncpg.Connection, other: asyncpg.Connection, merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(connection, [1, 2, 4, 5])
    read_rows = blocks_module._read_rows

    async def read_and_store(*arguments):
        rows = await read_rows(*arguments)
        await store(other, [3])
        assert await violations(other) == {}
        return rows

    monkeypatch.setattr(blocks_module, "_read_rows", read_and_store)
    await merging.settled()
    assert await row_counts(connection) == [12, 3]
    assert await violations(connection) == {}


@pytest.mark.parametrize("change", ["DELETE FROM blocks", "UPDATE blocks SET row_count = row_count - 1"])
async def test_a_merge_whose_parts_change_under_it_is_given_up(
    connection: asyncpg.Connection, other: asyncpg.Connection, merging: Merging, change: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await store(connection, [1, 2, 3])
    read_rows = blocks_module._read_rows

    async def read_and_change(*arguments):
        rows = await read_rows(*arguments)
        await other.execute(f"{change} WHERE first_id = {2 << 16}")
        return rows

    monkeypatch.setattr(blocks_module, "_read_rows", read_and_change)
    assert await merging.settled() == Merged()
    assert (2 << 16) + 2 not in [row["last_id"] - row["first_id"] for row in await connection.fetch("TABLE blocks")]
    assert await connection.fetchval("SELECT count(*) FROM blocks") == (2 if change.startswith("DELETE") else 3)


async def test_while_another_session_has_the_turn_the_work_waits(
    connection: asyncpg.Connection, other: asyncpg.Connection, merging: Merging
) -> None:
    await store(connection, [1, 2])
    async with other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('logstreamd maintenance', 0))")
        assert await merging.settled() == Merged(more=True)
    assert (await merging.round()).parts == 2


async def test_a_round_ends_in_time_and_the_next_one_goes_on(
    connection: asyncpg.Connection, merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "ROUND_SECONDS", 0.0)
    await store(connection, [1, 2])
    assert await merging.settled() == Merged(more=True)
    monkeypatch.setattr(blocks_module, "ROUND_SECONDS", 1.0)
    assert (await merging.round()).parts == 2


async def test_a_day_of_many_blocks_is_looked_at_in_pieces(
    connection: asyncpg.Connection, merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "WINDOW_BLOCKS", 4)
    await store(connection, range(1, 12))
    assert (await merging.settled()).parts == 11
    assert sum(await row_counts(connection)) == 33
    assert await violations(connection) == {}


async def test_blocks_that_nobody_looked_at_get_filter_and_names(
    connection: asyncpg.Connection, merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_plan, "SMALL_ROWS", 2)
    await store(connection, [1, 2, 3], rows=5)
    await connection.execute(
        "UPDATE blocks SET bloom = NULL, services = NULL, hosts = NULL, xid = NULL WHERE first_id <> 65536"
    )
    assert await merging.settled() == Merged(parts=2, blocks=1, rows=10)
    assert await row_counts(connection) == [5, 10]
    assert await admitted(connection, "unique3x4") == [2]
    assert await connection.fetchval("SELECT count(*) FROM blocks WHERE services IS NULL OR hosts IS NULL") == 0
    assert await violations(connection) == {}


async def test_blocks_whose_rows_are_gone_go_too(connection: asyncpg.Connection, merging: Merging) -> None:
    await store(connection, [1, 2])
    await connection.execute("DELETE FROM logs")
    assert await merging.settled() == Merged(parts=2)
    assert await row_counts(connection) == []


async def test_rows_that_logstreamd_did_not_store_stop_nothing_but_their_own_block(
    connection: asyncpg.Connection, merging: Merging
) -> None:
    await store(connection, [1, 2], days=(21,))
    await store(connection, [3, 4], days=(22,))
    await connection.execute("UPDATE logs SET severity = 99 WHERE ts > '2026-11-22'")
    assert (await merging.settled()).parts == 2
    assert await row_counts(connection) == [6, 3, 3]


async def test_whoever_reads_while_others_store_and_merge_finds_every_row_in_its_block(
    database: str, connection: asyncpg.Connection, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers_done = asyncio.Event()

    async def write() -> None:
        seqs = sorted(range(1, 80), key=lambda seq: (seq // 8, seq * 5 % 8))
        await store(other, seqs, days=(21, 22))
        writers_done.set()

    async def merge() -> int:
        monkeypatch.setattr(blocks_module, "SETTLE_SECONDS", 0.0)
        merger_connection = await connect(ConnectionSettings(database), purpose="merger")
        merger = BlockMerger()
        parts = 0
        while not writers_done.is_set():
            parts += (await merger.merge(merger_connection)).parts
        await merger_connection.close()
        return parts

    tasks = [asyncio.create_task(write()), asyncio.create_task(merge())]
    while not writers_done.is_set():
        async with connection.transaction(isolation="repeatable_read"):
            assert await violations(connection) == {}
    _, parts = await asyncio.gather(*tasks)
    assert parts > 0
    assert await violations(connection) == {}
