"""What the SQL of a filter finds in a real PostgreSQL is what the matcher finds in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
import pytest
from filter_strategies import ROWS, TERMS, near_terms, trees_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logstreamd.query.filter import Filter, matches, to_sql

pytestmark = pytest.mark.every_postgres

_COLUMNS = ["severity", "facility", "host", "service", "proc_id", "msg_id", "trace_id", "message", "input", "format"]
_INSERT = (
    f"INSERT INTO logs (id, ts, received_at, attrs, peer, {', '.join(_COLUMNS)}) "
    "VALUES ($1, 'epoch', 'epoch', $2::text::jsonb, $3::text::inet, "
    f"{', '.join(f'${4 + n}' for n in range(len(_COLUMNS)))})"
)

# Work is in the database; a slow machine must not fail the test.
with_database = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150
)


class Stored:
    """Rows in the table ``logs``, one example after the other."""

    def __init__(self, runner: asyncio.Runner, connection: asyncpg.Connection) -> None:
        self._runner = runner
        self._connection = connection

    def found(self, rows: list[dict[str, Any]], filters: list[Filter]) -> list[set[int]]:
        return self._runner.run(self._found(rows, filters))

    async def _found(self, rows: list[dict[str, Any]], filters: list[Filter]) -> list[set[int]]:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.executemany(_INSERT, [_values(number, row) for number, row in enumerate(rows)])
            return [await self._ids(tree) for tree in filters]
        finally:
            await transaction.rollback()

    async def _ids(self, tree: Filter) -> set[int]:
        condition, parameters = to_sql(tree, 2)
        query = f"SELECT id FROM logs WHERE id >= $1 AND {condition}"
        return {row["id"] for row in await self._connection.fetch(query, 0, *parameters)}


def _values(number: int, row: dict[str, Any]) -> list[Any]:
    attrs = None if row["attrs"] is None else msgspec.json.encode(row["attrs"]).decode()
    return [number, attrs, row["peer"], *(row[name] for name in _COLUMNS)]


@pytest.fixture
def stored(database: str) -> Iterator[Stored]:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database, statement_cache_size=0))
        yield Stored(runner, connection)
        runner.run(connection.close())


@with_database
@given(rows=st.lists(ROWS, min_size=1, max_size=6), data=st.data())
def test_the_sql_and_the_matcher_take_the_same_rows(
    stored: Stored, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    filters = data.draw(st.lists(trees_of(near_terms(rows) | TERMS), min_size=1, max_size=12))
    for tree, found in zip(filters, stored.found(rows, filters), strict=True):
        expected = {number for number, row in enumerate(rows) if matches(tree, row)}
        assert found == expected, (str(tree), to_sql(tree, 2))
