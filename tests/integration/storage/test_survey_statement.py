"""The blocks and counts of a batch are those of the rows that were stored, whatever became of the batch."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from batches import ARRIVAL_US, batch_of, encoded, numbered
from exactness import violations

from logstreamd.storage.store import Stored, store_batch
from logstreamd.wire.batch import Batch
from logstreamd.wire.bloom import may_contain, token_hash

SPOOL = UUID(int=7)
CHECK = "ALTER TABLE logs ADD CONSTRAINT no_poison CHECK (message NOT LIKE '%poison%')"


def line(message: str, *, at: str = "2026-11-22T02:59:59Z", service: str = "checkout", priority: int = 14) -> str:
    return f"<{priority}>1 {at} web-1 {service} - - - {message}"


async def store(connection: asyncpg.Connection, batch: Batch, seq: int = 1) -> Stored:
    return await store_batch(connection, batch, encoded(batch, seq), spool_id=SPOOL, seq=seq)


async def counted(connection: asyncpg.Connection, columns: str) -> list[tuple[object, ...]]:
    query = f"SELECT {columns}, sum(count)::integer FROM log_counts GROUP BY {columns} ORDER BY {columns}"
    return [tuple(row) for row in await connection.fetch(query)]


def mixed(positions: Iterable[int]) -> list[str]:
    services = ("checkout", "nginx", "-")
    return [
        line(f"number {n}", service=services[n % 3], priority=8 + n % 8, at=f"2026-11-22T02:{n % 60:02}:00Z")
        for n in positions
    ]


@pytest.mark.every_postgres
async def test_a_block_says_what_its_batch_is_about(connection: asyncpg.Connection) -> None:
    await store(connection, batch_of([line("paid"), line("refused", service="nginx", priority=11)]), seq=3)
    (block,) = await connection.fetch("SELECT * FROM blocks")
    at = datetime(2026, 11, 22, 2, 59, 59, tzinfo=UTC)
    assert {name: block[name] for name in set(block.keys()) - {"byte_count", "bloom", "xid"}} == {
        "day": date(2026, 11, 22),
        "first_id": 3 * 65_536,
        "last_id": 3 * 65_536 + 1,
        "ts_min": at,
        "ts_max": at,
        "row_count": 2,
        "severity_counts": [0, 0, 0, 1, 0, 0, 1, 0],
        "services": ["checkout", "nginx"],
        "hosts": ["web-1"],
    }
    assert 200 < block["byte_count"] < 500
    assert may_contain(block["bloom"], token_hash("refused"))
    assert not may_contain(block["bloom"], token_hash("absent"))


async def test_counts_are_those_of_a_group_by_over_the_rows(connection: asyncpg.Connection) -> None:
    await store(connection, batch_of(mixed(range(1_000))))
    await store(connection, batch_of(mixed(range(500))), seq=2)
    assert await violations(connection) == {}
    assert await counted(connection, "service") == [("checkout", 501), ("nginx", 500), (None, 499)]


async def test_late_rows_get_a_block_of_their_day(connection: asyncpg.Connection) -> None:
    days = ["2026-11-20", "2026-11-22", "2026-11-21", "2026-11-22"]
    await store(connection, batch_of([line("late", at=f"{day}T12:00:00Z") for day in days]))
    blocks = await connection.fetch("SELECT day, first_id - 65536 AS first, last_id - 65536 AS last FROM blocks")
    assert sorted(tuple(block) for block in blocks) == [
        (date(2026, 11, 20), 0, 0),
        (date(2026, 11, 21), 2, 2),
        (date(2026, 11, 22), 1, 3),
    ]
    assert await violations(connection) == {}


@pytest.mark.parametrize("bad", [{0}, {9}, {4, 5}, set(range(9)), set(range(0, 10, 2))])
async def test_quarantined_rows_are_not_counted(connection: asyncpg.Connection, bad: set[int]) -> None:
    await connection.execute(CHECK)
    rows = mixed(range(10))
    batch = batch_of([f"{row} poison" if position in bad else row for position, row in enumerate(rows)])
    assert await store(connection, batch) == Stored(10 - len(bad), len(bad))
    assert await violations(connection) == {}


async def test_a_batch_of_nothing_but_poison_leaves_no_block_and_no_count(connection: asyncpg.Connection) -> None:
    await connection.execute(CHECK)
    assert await store(connection, batch_of(numbered(5, range(5)))) == Stored(0, 5)
    assert await connection.fetchval("SELECT (SELECT count(*) FROM blocks) + (SELECT count(*) FROM log_counts)") == 0


async def test_a_name_that_was_refused_does_not_sink_its_batch_in_the_list_of_names(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute("ALTER TABLE logs ADD CHECK (service <> 'odd')")
    await connection.execute("ALTER TABLE blocks ADD CHECK (NOT 'odd' = ANY (services))")
    assert await store(connection, batch_of([line("a", service="odd"), line("b")])) == Stored(1, 1)
    assert await connection.fetchval("SELECT services IS NULL AND hosts IS NULL FROM blocks")
    assert await violations(connection) == {}


async def test_a_batch_or_a_request_that_comes_again_is_counted_once(connection: asyncpg.Connection) -> None:
    request = uuid4()
    for seq in (1, 1, 2):
        batch = batch_of(mixed(range(7)))
        batch.request = (request, 0)
        await store(connection, batch, seq)
    assert await connection.fetchval("SELECT count(*) FROM blocks") == 1
    assert await connection.fetchval("SELECT sum(count) FROM log_counts") == 7
    assert await violations(connection) == {}


async def test_blocks_and_counts_of_a_batch_that_fails_are_gone_with_it(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE blocks ADD CHECK (row_count < 5)")
    with pytest.raises(asyncpg.CheckViolationError):
        await store(connection, batch_of(mixed(range(5))))
    assert await connection.fetchval("SELECT (SELECT count(*) FROM logs) + (SELECT count(*) FROM log_counts)") == 0


async def test_minutes_before_the_epoch_and_services_of_any_length_are_counted(connection: asyncpg.Connection) -> None:
    batch = Batch("tcp")
    batch.append(b'{"service": "%s", "message": "x"}' % (b"s" * 60_000), -ARRIVAL_US, batch.peer_id("192.0.2.7"))
    assert await store(connection, batch) == Stored(1)
    assert await violations(connection) == {}
