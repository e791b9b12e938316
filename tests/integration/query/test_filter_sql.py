from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from logstreamd.query.count_statement import sum_rows
from logstreamd.query.filter import matches, parse_filter, to_sql
from logstreamd.query.scope import EARLIEST, LATEST, Scope
from logstreamd.query.steps import Steps
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.migrate import migrate
from logstreamd.wire.attribute_text import scalar_text
from logstreamd.wire.tokens import fold

pytestmark = pytest.mark.every_postgres

NAMES = ("service", "host", "trace_id", "proc_id", "msg_id", "peer")
NOTHING = {"service": None, "host": None, "trace_id": None, "attrs": None}
HOSTILE = [
    "'; DROP TABLE logs; --",
    "') OR (true",
    "$1",
    "\\",
    "%",
    "_",
    "\\'; SELECT pg_sleep(60) --",
    "\"}'::jsonb",
    "<column>",
    "***=a",
    "(?i)a",
]
_EAGER_WORKERS = "SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0"
_MANY_ROWS = """
    INSERT INTO logs (id, ts, received_at, severity, facility, message, input, format)
    SELECT n, to_timestamp(n), now(), 6, 1, 'm', 'tcp', 'raw' FROM generate_series(1, 16000) AS n
"""


async def insert(connection: asyncpg.Connection, number: int, message: str = "", **columns: Any) -> dict[str, Any]:
    row = {"message": message, "severity": 6, "facility": 1, "input": "udp", "format": "raw", "attrs": None}
    row |= dict.fromkeys(NAMES) | columns
    attrs = None if row["attrs"] is None else msgspec.json.encode(row["attrs"]).decode()
    await connection.execute(
        "INSERT INTO logs (id, ts, received_at, severity, facility, message, input, format, attrs, "
        "service, host, trace_id, proc_id, msg_id, peer) "
        "VALUES ($1, now(), now(), $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, $11, $12, $13)",
        number, *(row[name] for name in ("severity", "facility", "message", "input", "format")), attrs,
        *(row[name] for name in NAMES),
    )  # fmt: skip
    return row


async def find(connection: asyncpg.Connection, text: str) -> list[int]:
    condition, parameters = to_sql(parse_filter(text), 2)
    rows = await connection.fetch(f"SELECT id FROM logs WHERE id < $1 AND {condition} ORDER BY id", 1_000, *parameters)
    return [row["id"] for row in rows]


@pytest.fixture
async def database_without_a_locale(postgres: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database whose own functions know no letters but those of ASCII."""
    server = await asyncpg.connect(postgres.dsn("postgres"))
    provider = "LOCALE_PROVIDER libc" if server.get_server_version().major >= 15 else ""
    await server.execute(
        f"CREATE DATABASE plain TEMPLATE template0 ENCODING 'UTF8' {provider} LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    connection = await asyncpg.connect(postgres.dsn("plain"))
    await migrate(connection)
    yield connection
    await connection.close()
    await server.execute("DROP DATABASE plain WITH (FORCE)")
    await server.close()


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_a_person_writes_is_data(connection: asyncpg.Connection, text: str) -> None:
    await insert(connection, 1, "harmless", service="a", attrs={"k": "v"})
    await insert(connection, 2, f"seen {text} here")
    await insert(connection, 3, service=text)
    await insert(connection, 4, attrs={"k": text, text: "v"})
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    quoted = f'"{escaped}"'
    assert await find(connection, quoted) == [2, 3, 4]
    assert await find(connection, f"service:{quoted}") == [3]
    assert await find(connection, f"service:{quoted}*") == [3]
    assert await find(connection, f"attrs.k:{quoted}") == [4]
    assert await find(connection, f"attrs.k:{quoted}*") == [4]
    assert await find(connection, f"attrs.{quoted}:v") == [4]
    assert await find(connection, f"message:{quoted}*") == [2]


async def test_words_of_any_script_are_found_whatever_the_locale(database_without_a_locale: asyncpg.Connection) -> None:
    connection = database_without_a_locale
    await insert(connection, 1, "GRÖSSE überschritten: Größe")
    await insert(connection, 2, "ОШИБКА в модуле", attrs={"город": "МОСКВА"})
    await insert(connection, 3, "Größenordnung")
    assert await find(connection, "größe") == await find(connection, "GRÖẞE") == [1]
    assert await find(connection, "größe*") == [1, 3]
    assert await find(connection, "Überschritten") == [1]
    assert await find(connection, "ошибка москва") == [2]
    assert await find(connection, r"/\bмодуле$/") == await find(connection, "/МОДУЛЕ/i") == [2]


async def test_a_field_that_is_not_there_is_not_equal(connection: asyncpg.Connection) -> None:
    await insert(connection, 1)
    await insert(connection, 2, service="a", attrs={"x": 1})
    for term in ("service:a", "service:a*", "service:/a/", "service:*", "attrs.x:1", "attrs.x>0", "attrs.x:*", "a"):
        assert await find(connection, term) == [2]
        assert await find(connection, f"-{term}") == [1]
        assert await find(connection, f"--{term}") == [2]
    assert await find(connection, "service!=a OR nowhere") == [1]


async def test_values_of_any_type_are_compared_without_an_error(connection: asyncpg.Connection) -> None:
    values = [
        500,
        500.5,
        "500.5",
        "5e2",
        "NaN",
        "0x10",
        "",
        True,
        None,
        [501, "a"],
        {"x": 600},
        "9" * 400,
        10**400,
        [[502]],
    ]
    for number, value in enumerate(values):
        await insert(connection, number, attrs={"v": value})
    for term in ("attrs.v>500", "attrs.v<=500", "attrs.v:500", "attrs.v:500.50", "attrs.v:true", "attrs.v:null"):
        tree = parse_filter(term)
        rows = [{"attrs": {"v": value}} for value in values]
        assert await find(connection, term) == [number for number, row in enumerate(rows) if matches(tree, row)]
    assert await find(connection, "attrs.v>500") == [1, 2, 9, 12]


async def test_the_text_of_a_number_is_the_one_in_memory(connection: asyncpg.Connection) -> None:
    for value in (0, -1, 10**30, 0.5, -0.0, 1e22, 1e-7, 1.5e300, 123456789012345680.0, 5e-324):
        document = msgspec.json.encode([value]).decode()
        assert await connection.fetchval("SELECT $1::text::jsonb #>> '{0}'", document) == scalar_text(value)


async def test_the_largest_regexes_are_taken(connection: asyncpg.Connection) -> None:
    await connection.execute("SET statement_timeout = '10s'")
    await insert(connection, 1, "ab" * 4_000)
    for source in (
        ".{255}",
        "[ab]*a[ab]{250}c",
        "(a?){90}a{90}",
        r"(\b\w{1,3}\B){30}",
        "(a|b|c|d|e|f)*" * 12,
        "((a+)+)+$",
    ):
        tree = parse_filter(f"/{source}/i")
        assert await find(connection, str(tree)) == ([1] if matches(tree, {"message": "ab" * 4_000, **NOTHING}) else [])


async def test_errors_of_a_service_are_found_by_their_index(connection: asyncpg.Connection) -> None:
    condition, parameters = to_sql(parse_filter("service:checkout level>=error"), 1)
    await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_custom_plan")
    plan = await connection.fetch(f"EXPLAIN SELECT id FROM logs WHERE {condition}", *parameters)
    assert "service" in " ".join(row[0] for row in plan if "Index Cond" in row[0])


@pytest.mark.parametrize(
    "text",
    [
        "timeout",
        "id",
        "timeo*",
        '"timed out"',
        "-timeout",
        "timeout OR id",
        "/a.b/",
        "message:timeout",
        "host:web-*",
        "attrs.a.b:x",
        "attrs.a.b:x*",
        "attrs.a.b:/x/",
        "attrs.a.b>5",
        "attrs.a.b:*",
        "peer:192.0.2.0/24",
    ],
)
async def test_any_filter_can_be_read_by_several_processes(connection: asyncpg.Connection, text: str) -> None:
    condition, parameters = to_sql(parse_filter(text), 1)
    await connection.execute(_EAGER_WORKERS + "; SET parallel_tuple_cost = 0")
    plan = await connection.fetch(f"EXPLAIN SELECT count(*) FROM logs WHERE {condition}", *parameters)
    assert any("Workers Planned" in row[0] for row in plan), plan


@pytest.mark.parametrize("step", [None, timedelta(minutes=1)])
async def test_a_common_word_is_counted_by_several_processes(
    connection: asyncpg.Connection, step: timedelta | None
) -> None:
    await connection.execute(f"{_MANY_ROWS}; ANALYZE logs; {_EAGER_WORKERS}")
    scope = Scope(EARLIEST, LATEST, parse_filter("timeout level>=info"))
    statement = sum_rows(scope, (), step and Steps(EARLIEST, step, 1), 100, None)
    plan = await connection.fetch(f"EXPLAIN {statement.text}", *statement.parameters)
    assert any("Workers Planned" in row[0] for row in plan), plan


async def test_the_server_folds_as_we_do(connection: asyncpg.Connection) -> None:
    # Only characters that every Unicode since the oldest one in use knows; newer ones fold in newer tables only.
    chars = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
    chars = [char for char in chars if unicodedata.ucd_3_2_0.category(char) != "Cn"]
    lowered = await connection.fetchval(
        "SELECT array_agg(lower(c) ORDER BY n) FROM unnest($1::text[]) WITH ORDINALITY AS u (c, n)", chars
    )
    assert [(char, low) for char, low in zip(chars, lowered, strict=True) if fold(char) != low] == []
