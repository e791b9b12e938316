from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.errors import Failure, classify, copy_line

COLUMNS = ["id", "ts", "received_at", "severity", "facility", "message", "input", "format"]


async def error_of(connection: asyncpg.Connection, statement: str, *arguments: object) -> BaseException:
    with pytest.raises(Exception) as raised:  # which one is what the test asks
        await connection.fetch(statement, *arguments)
    return raised.value


async def test_what_the_server_says_is_told_apart(connection: asyncpg.Connection) -> None:
    expected = {
        "SELECT '\"\\u0000\"'::jsonb": Failure.POISON,
        "SELECT convert_from('\\x00', 'UTF8')": Failure.POISON,
        "SELECT 40000::smallint": Failure.POISON,
        "SELECT repeat('[', 30000)::jsonb": Failure.POISON,
        "INSERT INTO quarantine (input, reason, raw) VALUES ('udp', NULL, '')": Failure.POISON,
        "INSERT INTO spool_marks VALUES (gen_random_uuid(), 1, NULL)": Failure.RETRYABLE,
        "SELECT * FROM no_such_table": Failure.CONFIGURATION,
        "SELECT no_such_column FROM logs": Failure.CONFIGURATION,
        "SELECT pg_terminate_backend(pg_backend_pid())": Failure.RETRYABLE,
    }
    assert {query: classify(await error_of(connection, query)) for query in expected} == expected


async def test_what_the_driver_refuses_to_encode_is_poison(connection: asyncpg.Connection) -> None:
    for kind, value in [("text", "\ud800"), ("bigint", 2**70), ("inet", "no address"), ("bigint", object())]:
        assert classify(await error_of(connection, f"SELECT $1::{kind}", value)) is Failure.POISON


async def test_waits_that_were_cut_short_are_retried(database: str) -> None:
    settings = ConnectionSettings(database, statement_timeout_seconds=0.05, lock_timeout_seconds=0.02)
    holder, waiter = [await connect(settings, purpose=name) for name in ("holder", "waiter")]
    async with holder.transaction():
        await holder.execute("LOCK TABLE logs")
        blocked = await error_of(waiter, "SELECT count(*) FROM logs")
    slow = await error_of(waiter, "SELECT pg_sleep(10)")
    await asyncio.gather(holder.close(), waiter.close())
    assert isinstance(blocked, asyncpg.LockNotAvailableError)
    assert isinstance(slow, asyncpg.QueryCanceledError)
    assert classify(blocked) is classify(slow) is Failure.RETRYABLE


async def test_a_server_that_is_not_there_is_retried(tmp_path: Path) -> None:
    with pytest.raises(OSError) as raised:
        await connect(ConnectionSettings(f"postgresql:///x?host={tmp_path}&user=x"), purpose="test")
    assert classify(raised.value) is Failure.RETRYABLE


@pytest.mark.parametrize("change", [("test_", "absent_"), ("user=logstreamd", "user=stranger")])
async def test_a_database_or_user_that_does_not_exist_needs_a_person(database: str, change: tuple[str, str]) -> None:
    with pytest.raises(asyncpg.PostgresError) as raised:
        await connect(ConnectionSettings(database.replace(*change)), purpose="test")
    assert classify(raised.value) is Failure.CONFIGURATION


async def test_a_missing_default_partition_needs_a_person_and_poisons_nothing(connection: asyncpg.Connection) -> None:
    await connection.execute("DROP TABLE logs_default")
    error = await error_of(
        connection, "INSERT INTO logs SELECT 1, now(), now(), 6, 1, '', '', '', '', '', '', '{}', '', NULL, ''"
    )
    assert classify(error) is Failure.CONFIGURATION


async def test_the_reader_pool_reads_only_and_says_who_it_is(database: str) -> None:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=2)
    try:
        assert await pool.fetchval("SHOW application_name") == "logstreamd query"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as raised:
            await pool.execute("DELETE FROM logs")
        assert classify(raised.value) is Failure.RETRYABLE
    finally:
        await pool.close()


def test_settings_do_not_show_the_password() -> None:
    assert "secret" not in repr(ConnectionSettings("postgresql://me:secret@host/db"))


@pytest.mark.every_postgres
async def test_a_refused_row_of_a_copy_is_named_by_its_position(connection: asyncpg.Connection) -> None:
    good = "{n}\t2026-02-28Z\t2026-02-28Z\t6\t1\thello\tudp\traw"
    too_large = good.replace("\t6\t", "\t60000\t")  # fails when the row is read
    too_long = good.replace("hello", "".join(f"{n:x}" for n in range(3000)))  # fails when it gets into the index
    await connection.execute("CREATE INDEX ON logs (message)")
    for position in (0, 7, 99):
        for bad in (too_large, too_long):
            lines = [(bad if n == position else good).format(n=n) for n in range(100)]
            with pytest.raises(asyncpg.PostgresError) as raised:
                await connection.copy_to_table("logs", source=_source(lines), columns=COLUMNS)
            assert classify(raised.value) is Failure.POISON
            assert copy_line(raised.value) == position


async def _source(lines: list[str]):
    yield ("\n".join(lines) + "\n").encode()


async def test_no_line_is_read_out_of_other_errors(connection: asyncpg.Connection) -> None:
    assert copy_line(await error_of(connection, "SELECT 1/0")) is None
    assert copy_line(ValueError("COPY logs, line 7")) is None


async def test_a_server_that_dies_under_a_statement_is_retried(reachable_directory: Path) -> None:
    server = EmbeddedPostgres(reachable_directory / "dies")
    connection = await asyncpg.connect(await server.start())
    pid = int((server.data_dir / "pgdata/postmaster.pid").read_text().split()[0])
    gone = asyncio.create_task(server.wait_stopped())
    sleeping = asyncio.create_task(error_of(connection, "SELECT pg_sleep(60)"))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGQUIT)  # what pg_ctl stop -m immediate sends
    assert classify(await sleeping) is Failure.RETRYABLE
    await asyncio.wait_for(gone, 10)
    assert classify(await error_of(connection, "SELECT 1")) is Failure.RETRYABLE
    await server.stop()
