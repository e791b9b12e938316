"""Every wait for the database has an end, and the configuration says when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from logstreamd.config import Config
from logstreamd.daemon.connecting import connection_settings
from logstreamd.query.database import Database
from logstreamd.query.errors import QueryTimeoutError, UnavailableError
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool

FAR_TOO_LONG_SECONDS = 8.0  # below every default; far above what is configured here


def settings_of(dsn: str, *, statement_timeout_seconds: float = 5.0, **database: float) -> ConnectionSettings:
    config = Config(database=database)  # type: ignore[arg-type]
    return connection_settings(config.database, dsn, statement_timeout_seconds=statement_timeout_seconds)


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes connections and never says a word, as a host behind a broken firewall."""
    waiting = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await waiting.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"postgresql://nobody@{host}:{port}/logs?sslmode=disable"
    finally:
        waiting.set()
        server.close()
        await server.wait_closed()


async def test_what_is_configured_is_what_the_server_watches(database: str) -> None:
    settings = settings_of(database, lock_timeout_seconds=0.25, statement_timeout_seconds=2.5)
    connection = await connect(settings, purpose="test")
    assert await connection.fetchval("SHOW lock_timeout") == "250ms"
    assert await connection.fetchval("SHOW statement_timeout") == "2500ms"
    await connection.close()


async def test_a_server_that_says_nothing_is_given_up_after_the_connect_timeout() -> None:
    async with silent_server() as dsn, asyncio.timeout(FAR_TOO_LONG_SECONDS):
        with pytest.raises(TimeoutError):
            await connect(settings_of(dsn, connect_timeout_seconds=1), purpose="test")


async def test_a_lock_that_somebody_holds_is_waited_for_no_longer_than_configured(
    database: str, connection: asyncpg.Connection
) -> None:
    waiting = await connect(settings_of(database, lock_timeout_seconds=0.1), purpose="test")
    async with asyncio.timeout(FAR_TOO_LONG_SECONDS), connection.transaction():
        await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await waiting.fetchval("SELECT count(*) FROM logs")
    await waiting.close()


@pytest.fixture
async def one_connection(database: str) -> AsyncIterator[Database]:
    async with await create_reader_pool(settings_of(database, lock_timeout_seconds=0.1), max_size=1) as pool:
        yield Database(pool, max_concurrent=2, pool_timeout_seconds=0.2)


async def test_a_search_that_meets_a_lock_is_out_of_time(
    one_connection: Database, connection: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(QueryTimeoutError):
            async with one_connection.reading() as reading:
                await reading.fetchval("SELECT count(*) FROM logs")


async def test_a_connection_that_is_not_free_in_time_is_no_database_and_the_next_one_in_time_is(
    one_connection: Database,
) -> None:
    async with asyncio.timeout(FAR_TOO_LONG_SECONDS):
        async with one_connection.reading():
            with pytest.raises(UnavailableError, match=r"no connection within 0\.2 s"):
                async with one_connection.reading():
                    raise AssertionError("there was one")
        async with one_connection.reading() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_database_that_says_nothing_makes_no_search_wait_for_its_connect_timeout() -> None:
    async with silent_server() as dsn, asyncio.timeout(FAR_TOO_LONG_SECONDS):
        pool = await create_reader_pool(settings_of(dsn), max_size=1)
        with pytest.raises(UnavailableError):
            async with Database(pool, max_concurrent=1, pool_timeout_seconds=0.1).reading():
                raise AssertionError("there was one")
        pool.terminate()


async def test_a_time_out_inside_is_not_taken_for_one_of_the_pool(one_connection: Database) -> None:
    with pytest.raises(UnavailableError, match="TimeoutError"):
        async with one_connection.reading():
            raise TimeoutError
    async with one_connection.reading() as connection:
        assert await connection.fetchval("SELECT 1") == 1
