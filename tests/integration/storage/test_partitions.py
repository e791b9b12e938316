from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

import asyncpg
import pytest

from logstreamd.storage.partitions import RETRY_AFTER_SECONDS, Partitions, drop_detached

pytestmark = pytest.mark.every_postgres

DAY = date(2026, 2, 28)
NEXT_DAY = date(2026, 3, 1)


def at(day: date, time: str = "12:00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}+00:00")


async def insert(connection: asyncpg.Connection, *times: datetime) -> None:
    await connection.executemany(
        "INSERT INTO logs (id, ts, received_at, severity, facility, message, input, format) "
        "VALUES (nextval('batch_number'), $1, $1, 6, 1, 'hello', 'udp', 'raw')",
        [(time,) for time in times],
    )


async def rows_by_partition(connection: asyncpg.Connection) -> dict[str, int]:
    rows = await connection.fetch("SELECT tableoid::regclass::text AS name, count(*) FROM logs GROUP BY 1")
    return dict(tuple(row) for row in rows)


async def partition_names(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT relid::text AS name FROM pg_partition_tree('logs') WHERE isleaf ORDER BY 1")
    return [row["name"] for row in rows]


@pytest.fixture
async def other(database: str):
    """A second session, which holds the locks that are in the way."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def test_rows_go_to_the_partition_of_their_utc_day_to_the_microsecond(connection: asyncpg.Connection) -> None:
    assert await Partitions().ensure(connection, [DAY, NEXT_DAY]) == set()
    await insert(connection, at(DAY, "00:00:00"), at(DAY, "23:59:59.999999"), at(NEXT_DAY, "00:00:00"))
    assert await rows_by_partition(connection) == {"logs_20260228": 2, "logs_20260301": 1}


async def test_a_partition_has_the_indexes_and_comments_of_the_table(connection: asyncpg.Connection) -> None:
    await Partitions().ensure(connection, [DAY])
    indexes = await connection.fetch(
        "SELECT pg_get_indexdef(indexrelid) AS sql FROM pg_index WHERE indrelid = 'logs_20260228'::regclass"
    )
    definitions = " ".join(sorted(row["sql"] for row in indexes))
    assert definitions.count("USING brin") == 2
    assert "(service, ts) WHERE (severity <= 3)" in definitions
    assert await connection.fetchval("SELECT col_description('logs_20260228'::regclass, 1)") is not None


async def test_days_known_to_be_there_cost_no_query(connection: asyncpg.Connection) -> None:
    partitions = Partitions()
    await partitions.ensure(connection, [DAY])
    await connection.close()
    assert await partitions.ensure(connection, [DAY]) == set()


async def test_today_and_two_days_ahead_are_kept_in_utc(connection: asyncpg.Connection) -> None:
    late_in_new_york = datetime.fromisoformat("2026-02-27T22:00:00-05:00")
    await Partitions().ensure_ahead(connection, late_in_new_york)
    assert await partition_names(connection) == ["logs_20260228", "logs_20260301", "logs_20260302", "logs_default"]


async def test_daemons_that_need_the_same_days_at_once_all_get_them(database: str) -> None:
    days = [DAY + timedelta(days=n) for n in range(4)]
    connections = await asyncio.gather(*(asyncpg.connect(database) for _ in range(4)))
    missing = await asyncio.gather(*(Partitions().ensure(connection, days) for connection in connections))
    names = await partition_names(connections[0])
    await asyncio.gather(*(connection.close() for connection in connections))
    assert missing == [set(), set(), set(), set()]
    assert len(names) == len(days) + 1


async def test_rows_that_lie_in_the_default_partition_move(connection: asyncpg.Connection) -> None:
    await insert(connection, at(DAY), at(DAY), at(NEXT_DAY))
    assert await rows_by_partition(connection) == {"logs_default": 3}
    await Partitions().ensure(connection, [DAY])
    assert await rows_by_partition(connection) == {"logs_20260228": 2, "logs_default": 1}


async def test_a_batch_being_stored_does_not_keep_a_partition_from_being_made(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    partitions = Partitions()
    await partitions.ensure(connection, [DAY])
    async with other.transaction():
        await insert(other, at(DAY))
        assert await partitions.ensure(connection, [NEXT_DAY]) == set()


async def test_a_day_whose_partition_is_locked_away_goes_to_the_default_one_and_moves_later(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    now = 0.0
    partitions = Partitions(clock=lambda: now, pause_seconds=0)
    async with other.transaction():  # as pg_dump does, for as long as it takes
        await other.execute("LOCK TABLE logs IN ACCESS SHARE MODE")
        assert await partitions.ensure(connection, [DAY]) == {DAY}
        await insert(connection, at(DAY))
    assert await partitions.ensure(connection, [DAY]) == {DAY}  # left alone for a while
    now += RETRY_AFTER_SECONDS
    assert await partitions.ensure(connection, [DAY]) == set()
    assert await rows_by_partition(connection) == {"logs_20260228": 1}


async def test_a_day_that_somebody_detached_is_not_touched(connection: asyncpg.Connection) -> None:
    await Partitions().ensure(connection, [DAY])
    await connection.execute("ALTER TABLE logs DETACH PARTITION logs_20260228")
    assert await Partitions(pause_seconds=0).ensure(connection, [DAY]) == {DAY}
    await drop_detached(connection)
    assert await connection.fetchval("SELECT to_regclass('logs_20260228')") is not None


async def drop(partitions: Partitions, connection: asyncpg.Connection, day: date) -> int | None:
    async def clear() -> None:
        cleared.append(day)

    cleared: list[date] = []
    async with connection.transaction():
        size = await partitions.detach(connection, day, clear)
    assert cleared == ([] if size is None else [day])
    await drop_detached(connection)
    return size


async def test_a_day_that_is_taken_off_is_gone_with_its_bytes_and_others_stay(connection: asyncpg.Connection) -> None:
    partitions = Partitions()
    await partitions.ensure(connection, [DAY, NEXT_DAY])
    await insert(connection, at(DAY), at(NEXT_DAY))
    assert (await drop(partitions, connection, DAY) or 0) > 0
    assert await rows_by_partition(connection) == {"logs_20260301": 1}
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname LIKE 'logs_20260228%'") == 0


async def test_a_dropped_day_can_come_back(connection: asyncpg.Connection) -> None:
    partitions = Partitions()
    await partitions.ensure(connection, [DAY])
    await drop(partitions, connection, DAY)
    assert await partitions.ensure(connection, [DAY]) == set()
    assert "logs_20260228" in await partition_names(connection)


async def test_a_day_in_use_stays_until_the_next_time(
    connection: asyncpg.Connection, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.storage.partitions.DETACH_ATTEMPTS", 2)
    partitions = Partitions(pause_seconds=0)
    await partitions.ensure(connection, [DAY])
    async with other.transaction():
        await insert(other, at(DAY))
        assert await drop(partitions, connection, DAY) is None
    assert await drop(partitions, connection, DAY) is not None


async def test_a_partition_left_half_dropped_by_a_crash_is_dropped(connection: asyncpg.Connection) -> None:
    await Partitions().ensure(connection, [DAY])
    await connection.execute("ALTER TABLE logs DETACH PARTITION logs_20260228")
    await connection.execute("ALTER TABLE logs_20260228 RENAME TO logs_20260228_expired")
    await drop_detached(connection)
    assert await connection.fetchval("SELECT to_regclass('logs_20260228_expired')") is None


async def test_new_pages_get_into_the_brin_and_a_vacuum_is_not_disturbed(
    connection: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    partitions = Partitions()
    await partitions.ensure(connection, [DAY])
    await connection.execute(
        "INSERT INTO logs (id, ts, received_at, severity, facility, message, input, format) "
        "SELECT n, $1, $1, 6, 1, repeat('x', 900), 'udp', 'raw' FROM generate_series(1, 2000) AS n",
        at(DAY),
    )
    async with other.transaction():
        await other.execute("LOCK TABLE logs_20260228 IN SHARE UPDATE EXCLUSIVE MODE")  # what VACUUM holds
        assert await partitions.summarize(connection, [DAY]) == 0
    assert await partitions.summarize(connection, [DAY, NEXT_DAY]) > 0
    assert await partitions.summarize(connection, [DAY]) == 0
