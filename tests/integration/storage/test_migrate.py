from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from exactness import violations

from logstreamd.record import COLUMNS
from logstreamd.storage.errors import SchemaError
from logstreamd.storage.migrate import Migration, load_migrations, migrate, status

pytestmark = pytest.mark.every_postgres

CREATE_A = Migration(1, "a", "CREATE TABLE a (n integer)")
CREATE_B = Migration(2, "b", "CREATE TABLE b (n integer)")


@pytest.fixture
async def connection(empty_database: str):
    connection = await asyncpg.connect(empty_database)
    yield connection
    await connection.close()


async def test_an_empty_database_gets_every_step_once(connection: asyncpg.Connection) -> None:
    assert await migrate(connection) == load_migrations()
    assert await migrate(connection) == []
    assert (await status(connection)).pending == ()


async def test_the_table_has_the_columns_of_the_record_in_their_order(connection: asyncpg.Connection) -> None:
    await migrate(connection)
    columns = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'logs'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert tuple(row["attname"] for row in columns) == COLUMNS


async def test_every_table_view_column_and_function_says_what_it_is(connection: asyncpg.Connection) -> None:
    await migrate(connection)
    undocumented = await connection.fetch(
        """
        SELECT relname, attname FROM pg_class
        JOIN pg_attribute ON attrelid = pg_class.oid AND attnum >= 0
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname <> 'logs_default'
          AND col_description(pg_class.oid, attnum) IS NULL
        UNION ALL
        SELECT relname, NULL FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
          AND obj_description(oid, 'pg_class') IS NULL AND relname <> 'quarantine_id_seq'
        UNION ALL
        SELECT proname, NULL FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
        """
    )
    assert [tuple(row) for row in undocumented] == []


async def test_only_the_missing_steps_are_taken(connection: asyncpg.Connection) -> None:
    await migrate(connection, [CREATE_A])
    assert (await status(connection, [CREATE_A, CREATE_B])).pending == (CREATE_B,)
    assert await migrate(connection, [CREATE_A, CREATE_B]) == [CREATE_B]
    applied = (await status(connection, [CREATE_A, CREATE_B])).applied
    assert [(entry.version, entry.name) for entry in applied] == [(1, "a"), (2, "b")]


async def test_status_changes_nothing(connection: asyncpg.Connection) -> None:
    assert (await status(connection)).applied == ()
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = 'schema_version'") == 0


async def test_a_step_that_fails_leaves_no_trace_and_the_earlier_ones_stay(connection: asyncpg.Connection) -> None:
    broken = Migration(2, "broken", "CREATE TABLE half (n integer); SELECT 1/0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection, [CREATE_A, broken])
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert [entry.version for entry in (await status(connection, [CREATE_A])).applied] == [1]


async def test_a_file_that_changed_after_it_was_applied_is_reported(connection: asyncpg.Connection) -> None:
    await migrate(connection, [CREATE_A])
    changed = replace(CREATE_A, sql="CREATE TABLE a (n bigint)")
    with pytest.raises(SchemaError, match=r"0001_a\.sql is not the file that was applied"):
        await migrate(connection, [changed, CREATE_B])
    assert (await status(connection, [changed])).problem is not None


async def test_a_database_newer_than_the_code_is_refused_untouched(connection: asyncpg.Connection) -> None:
    await migrate(connection, [CREATE_A, CREATE_B])
    with pytest.raises(SchemaError, match="has schema version 2 and this logstreamd knows up to 1"):
        await migrate(connection, [CREATE_A])
    assert await connection.fetchval("SELECT to_regclass('b')") is not None


async def test_newer_steps_that_only_add_are_worked_with(connection: asyncpg.Connection) -> None:
    adding = Migration(3, "c", "-- additive: nobody else reads it.\nCREATE TABLE c (n integer)")
    await migrate(connection, [CREATE_A, adding])
    assert await migrate(connection, [CREATE_A]) == []
    assert (await status(connection, [CREATE_A])).problem is None
    await migrate(connection, [CREATE_A, CREATE_B, adding])  # and another one that does more
    with pytest.raises(SchemaError, match=r"0002_b\.sql was applied by a newer one"):
        await migrate(connection, [CREATE_A])


@pytest.mark.parametrize("sql", ["-- additive:", "-- additive", "--additive: x", "SELECT 1 -- additive: x"])
def test_a_step_is_additive_only_when_it_says_why_in_a_line_of_its_own(sql: str) -> None:
    assert not Migration(1, "a", sql).additive


async def test_a_list_of_steps_made_by_a_development_version_gets_its_column(connection: asyncpg.Connection) -> None:
    await migrate(connection, [CREATE_A])
    await connection.execute("ALTER TABLE schema_version DROP COLUMN additive")
    assert [entry.additive for entry in (await status(connection, [CREATE_A])).applied] == [False]
    await migrate(connection, [CREATE_A, CREATE_B])
    assert [entry.additive for entry in (await status(connection, [CREATE_A, CREATE_B])).applied] == [False, False]


async def test_daemons_that_start_together_take_turns(empty_database: str) -> None:
    connections = await asyncio.gather(*(asyncpg.connect(empty_database) for _ in range(5)))
    taken = await asyncio.gather(*(migrate(connection) for connection in connections))
    await asyncio.gather(*(connection.close() for connection in connections))
    assert sorted(step.version for steps in taken for step in steps) == [step.version for step in load_migrations()]


async def test_rows_stored_before_there_were_blocks_are_found_and_counted(connection: asyncpg.Connection) -> None:
    first, *later = load_migrations()
    await migrate(connection, [first])
    await connection.execute(
        """
        CREATE TABLE logs_20260228 PARTITION OF logs FOR VALUES FROM ('2026-02-28 00:00Z') TO ('2026-03-01 00:00Z');
        INSERT INTO logs (id, ts, received_at, severity, facility, host, service, message, input, format)
        SELECT (batch << 16) + n, '2026-02-28 12:00:59.999Z'::timestamptz + n % 4 * interval '13 hours', now(), n % 8,
               1, 'host-' || n % 3, CASE WHEN n % 5 > 0 THEN 'service-' || n % 5 END, 'number ' || n, 'tcp',
               'raw'
        FROM generate_series(1, 3) AS batch, generate_series(0, 99) AS n
        """
    )
    assert await migrate(connection, [first, *later]) == later
    assert await violations(connection) == {}
    assert await connection.fetchval("SELECT count(*) FROM blocks WHERE bloom IS NULL AND services IS NULL") == 9
    assert await connection.fetchval("SELECT sum(row_count) FROM blocks") == 300
