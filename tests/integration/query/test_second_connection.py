from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from batches import batch_of, encoded

from logstreamd.query import walk
from logstreamd.query.database import Database
from logstreamd.query.errors import QueryTimeoutError
from logstreamd.query.filter import parse_filter
from logstreamd.query.scope import EARLIEST, LATEST, Scope
from logstreamd.query.search import LogReader, Search
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.store import store_batch


async def store(connection: asyncpg.Connection, number: int, count: int = 3) -> None:
    batch = batch_of([f"row {position}" for position in range(count)])
    await store_batch(connection, batch, encoded(batch, number), spool_id=UUID(int=11), seq=number)


async def count(connection: Any) -> int:
    return await connection.fetchval("SELECT count(*) FROM logs")


@pytest.fixture
async def asked(database: str) -> AsyncIterator[Database]:
    """Two questions at once, and one connection to help."""
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=0.5), max_size=3)
    yield Database(pool, max_concurrent=2)
    await pool.close()


async def test_the_second_connection_sees_what_the_first_one_sees(
    asked: Database, connection: asyncpg.Connection
) -> None:
    await store(connection, 1)
    async with asked.reading() as first:
        assert await count(first) == 3
        await store(connection, 2)
        async with asked.helping(first) as second:
            assert await count(second) == 3
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await second.execute("DELETE FROM logs")
        assert await count(connection) == 6


async def test_there_is_only_so_much_help(asked: Database) -> None:
    async with asked.reading() as first, asked.reading() as other:
        async with asked.helping(first) as second:
            assert second is not None
            async with asked.helping(other) as third:
                assert third is None
        async with asked.helping(other) as third:
            assert third is not None


async def test_what_goes_wrong_on_the_second_connection_ends_the_question_and_frees_both(
    asked: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "_SHARED_ROWS", 1)
    for number in (1, 2):
        await store(connection, number)
    # Only the rows of the second half take their time.
    await connection.execute(f"""
        CREATE FUNCTION slow(id bigint) RETURNS boolean VOLATILE LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_sleep(CASE WHEN id >= {2 << 16} THEN 60 ELSE 0 END); RETURN true; END $$;
        ALTER TABLE logs RENAME TO logs_behind;
        CREATE VIEW logs AS SELECT * FROM logs_behind WHERE slow(id);
    """)
    everything = Search(Scope(EARLIEST, LATEST, parse_filter("")))
    with pytest.raises(QueryTimeoutError):
        await LogReader(asked).search(everything)
    await connection.execute("DROP VIEW logs; ALTER TABLE logs_behind RENAME TO logs")
    assert len((await LogReader(asked).search(everything)).logs) == 6
    assert asked.running == 0


async def test_both_connections_find_what_one_finds(
    asked: Database, connection: asyncpg.Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "_SHARED_ROWS", 1)
    for number in range(1, 6):
        await store(connection, number, count=40)
    alone = await create_reader_pool(ConnectionSettings(database), max_size=1)
    for order in ("desc", "asc"):
        search = Search(Scope(EARLIEST, LATEST, parse_filter("row -7")), limit=150, order=order)
        expected = await LogReader(Database(alone, max_concurrent=1)).search(search)
        found = await LogReader(asked).search(search)
        assert [log["id"] for log in found.logs] == [log["id"] for log in expected.logs]
        assert found.next_cursor == expected.next_cursor
    await alone.close()
