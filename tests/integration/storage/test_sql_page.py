"""What docs/sql.md shows works, and what it says about columns is so."""

from __future__ import annotations

import re
import time
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from batches import encoded

from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch

PAGE = (Path(__file__).parents[3] / "docs" / "sql.md").read_text()
QUERIES = {
    title: query
    for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for title, query in re.findall(r"^-- (.*)\n((?:(?!-- ).*\n)*)", block, re.MULTILINE)
}

LINES = [
    '{"level": "error", "service": "checkout", "message": "payment refused", "user_id": 42, "duration_ms": 730.5}',
    '{"level": "info", "service": "nginx", "message": "GET /", "trace_id": "4bf92f3577b34da6"}',
    '{"level": "info", "message": "nul \\u0000 in it"}',
    '{"timestamp": "2020-01-01T00:00:00Z", "host": "old-clock", "message": "from another time"}',
]

pytestmark = pytest.mark.every_postgres


@pytest.fixture
async def filled(connection: asyncpg.Connection) -> asyncpg.Connection:
    """Two batches of a minute ago, and a line that was refused."""
    now_us = int(time.time() * 1_000_000) - 60_000_000
    await Partitions().ensure(connection, days_between(now_us - 60_000_000, now_us))
    await connection.execute("ALTER TABLE logs ADD CHECK (message <> 'poison')")
    for seq in (1, 2):
        batch = Batch("tcp")
        for line in [*LINES, "poison"]:
            batch.append(line.encode(), now_us, batch.peer_id("192.0.2.7"))
        await store_batch(connection, batch, encoded(batch, seq), spool_id=UUID(int=7), seq=seq)
    return connection


def test_the_page_has_at_least_ten_questions() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("title", QUERIES)
async def test_every_query_of_the_page_has_an_answer(filled: asyncpg.Connection, title: str) -> None:
    assert await filled.fetch(QUERIES[title]) != []


async def test_a_request_is_found_through_blocks_once_even_where_they_overlap(filled: asyncpg.Connection) -> None:
    query = next(text for title, text in QUERIES.items() if title.startswith("everything of one request"))
    assert len(await filled.fetch(query)) == 2
    await filled.execute("UPDATE blocks SET last_id = last_id + 65536, bloom = NULL")
    assert len(await filled.fetch(query)) == 2


@pytest.mark.parametrize("table", ["logs", "blocks", "alert_events", "silences"])
async def test_every_column_is_on_the_page_in_its_order(connection: asyncpg.Connection, table: str) -> None:
    section = PAGE.split(f"\n## {table}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    shown = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    columns = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum", table
    )
    assert shown == [row["attname"] for row in columns]


async def test_every_table_view_and_function_is_on_the_page(connection: asyncpg.Connection) -> None:
    relations = await connection.fetch(
        "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'v') AND relname <> 'logs_default'"
    )
    names = {row["name"] for row in relations} | {"block_may_contain"}
    assert {name for name in names if f"`{name}" not in PAGE and f"## {name}" not in PAGE} == set()
