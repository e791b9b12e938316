from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from batches import ARRIVAL_US, batch_of, encoded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logstreamd.query import walk
from logstreamd.query.database import Database
from logstreamd.query.filter import parse_filter, to_sql
from logstreamd.query.plan import BlockList, matching_ranges
from logstreamd.query.scope import EARLIEST, LATEST, Scope
from logstreamd.query.search import LogReader, Page, Search
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=9)
ARRIVAL = datetime.fromtimestamp(ARRIVAL_US / 1_000_000, UTC)
LEVELS = ("info", "info", "info", "warning", "error", "critical")
SERVICES = ("a", "b", "ab", None)
WORDS = ("common", "rare", "Größe", "x-1")
FILTERS = (
    "", "common", "rare", "größe common", "x-1 OR rare", "level>=error", "service:a", "service:a,b level>=error",
    "service:a* -level:info", "service:a level>=error rare", "-common", "/r.re/", "rar*", "host:h-1", "attrs.n:7",
)  # fmt: skip


def line(*, level: str = "info", service: str | None = None, seconds_ago: float = 0, word: str = "common") -> str:
    document: dict[str, Any] = {
        "message": f"a {word} line",
        "level": level,
        "timestamp": (ARRIVAL - timedelta(seconds=seconds_ago)).isoformat(),
        "host": f"h-{int(seconds_ago) % 3}",
        "n": int(seconds_ago) % 10,
    }
    return json.dumps(document | ({"service": service} if service else {}))


async def store(connection: asyncpg.Connection, number: int, lines: list[str]) -> None:
    batch = batch_of(lines)
    await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=number)


async def merge_all(connection: asyncpg.Connection, first: int, last: int) -> None:
    """Make one block of those whose batches have a number from one to another, as maintenance may."""
    await connection.execute(
        """
        WITH gone AS (DELETE FROM blocks WHERE first_id >= $1 AND last_id < $2 RETURNING *)
        INSERT INTO blocks (day, first_id, last_id, ts_min, ts_max, row_count, severity_counts)
        SELECT day, min(first_id), max(last_id), min(ts_min), max(ts_max), sum(row_count), '{1,1,1,1,1,1,1,1}'
        FROM gone GROUP BY day
        """,
        first << 16,
        last + 1 << 16,
    )


def search(text: str = "", **more: Any) -> Search:
    return Search(Scope(EARLIEST, LATEST, parse_filter(text)), **more)


def keys(page: Page) -> list[tuple[datetime, int]]:
    return [(log["ts"], log["id"]) for log in page.logs]


async def expected(connection: asyncpg.Connection, asked: Search) -> list[tuple[datetime, int]]:
    """Return what a look at every row finds."""
    condition, parameters = to_sql(asked.scope.filter, 1)
    rows = await connection.fetch(f"SELECT ts, id FROM logs WHERE {condition}", *parameters)
    return sorted(((row["ts"], row["id"]) for row in rows), reverse=asked.order == "desc")


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search take as many steps as it would with a million times as many rows."""
    for name, value in {
        "_FIRST_BLOCKS": 2,
        "_FIRST_ROWS": 3,
        "_SHARED_ROWS": 5,
        "_MAX_RANGES": 2,
        "_FEW_ROWS": 4,
    }.items():
        monkeypatch.setattr(walk, name, value)


@pytest.fixture
async def reader(database: str) -> AsyncIterator[LogReader]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=6)
    yield LogReader(Database(pool, max_concurrent=4, timeout_seconds=20))
    await pool.close()


_LINES = st.builds(
    line,
    level=st.sampled_from(LEVELS),
    service=st.sampled_from(SERVICES),
    # Three days back at most, many at the same time.
    seconds_ago=st.sampled_from([0, 1, 1, 2, 3, 60, 3_600, 90_000, 180_000]),
    word=st.sampled_from(WORDS),
)
_BATCHES = st.lists(st.lists(_LINES, min_size=1, max_size=6), min_size=1, max_size=8)


class Stage:
    """A database that is emptied for each example, and a reader of it."""

    def __init__(self, runner: asyncio.Runner, dsn: str) -> None:
        self._runner = runner
        self._dsn = dsn

    def run(self, work: Any) -> None:
        self._runner.run(self._with_connections(work))

    async def _with_connections(self, work: Any) -> None:
        connection = await connect(ConnectionSettings(self._dsn), purpose="test")
        pool = await create_reader_pool(ConnectionSettings(self._dsn), max_size=6)
        try:
            await connection.execute("TRUNCATE logs, blocks, spool_marks")
            await work(connection, LogReader(Database(pool, max_concurrent=4, timeout_seconds=20)))
        finally:
            await pool.close()
            await connection.close()


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        yield Stage(runner, database)


with_database = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30
)


@pytest.mark.usefixtures("small_steps")
@with_database
@given(
    batches=_BATCHES,
    merged=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    text=st.sampled_from(FILTERS),
    order=st.sampled_from(["desc", "asc"]),
    limit=st.integers(1, 9),
)
def test_pages_together_are_what_a_look_at_every_row_finds(
    stage: Stage, batches: list[list[str]], merged: tuple[int, int], text: str, order: str, limit: int
) -> None:
    async def check(connection: asyncpg.Connection, reader: LogReader) -> None:
        for number, lines in enumerate(batches, 1):
            await store(connection, number, lines)
        await merge_all(connection, *sorted(merged))
        asked = search(text, order=order, limit=limit)
        found = []
        while asked:
            page = await reader.search(asked)
            found += keys(page)
            asked = replace(asked, after=found[-1]) if page.next_cursor else None
        assert found == await expected(connection, search(text, order=order))

    stage.run(check)


@pytest.mark.usefixtures("small_steps")
@with_database
@given(batches=_BATCHES, late=_BATCHES, text=st.sampled_from(FILTERS), order=st.sampled_from(["desc", "asc"]))
def test_pages_have_every_row_that_was_there_once_whatever_is_stored_between_them(
    stage: Stage, batches: list[list[str]], late: list[list[str]], text: str, order: str
) -> None:
    async def check(connection: asyncpg.Connection, reader: LogReader) -> None:
        for number, lines in enumerate(batches, 1):
            await store(connection, number * 2, lines)
        there = await expected(connection, search(text, order=order))
        asked, found, number = search(text, order=order, limit=4), list[tuple[datetime, int]](), 1
        while asked:
            page = await reader.search(asked)
            found += keys(page)
            asked = replace(asked, after=found[-1]) if page.next_cursor else None
            if late:  # some of them between the ids that are there, and all of them after the first page
                await store(connection, number, late.pop())
                await merge_all(connection, 1, number)
                number += 2
        assert found == sorted(set(found), reverse=order == "desc")
        assert set(there) <= set(found)

    stage.run(check)


@pytest.mark.usefixtures("small_steps")
@with_database
@given(batches=_BATCHES, text=st.sampled_from(FILTERS))
def test_every_row_of_a_scope_lies_in_one_of_its_ranges(stage: Stage, batches: list[list[str]], text: str) -> None:
    async def check(connection: asyncpg.Connection, _reader: LogReader) -> None:
        for number, lines in enumerate(batches, 1):
            await store(connection, number, lines)
        await merge_all(connection, 2, 4)
        async with connection.transaction(isolation="repeatable_read"):
            ranges = await matching_ranges(connection, search(text).scope)
        for ts, row_id in await expected(connection, search(text)):
            holding = [
                one
                for one in ranges
                if one.day == ts.date() and one.first_id <= row_id <= one.last_id and one.ts_min <= ts <= one.ts_max
            ]
            assert len(holding) == 1

    stage.run(check)


async def test_a_late_batch_within_a_merged_block_comes_once(connection: asyncpg.Connection, reader: LogReader) -> None:
    for number in (1, 2, 4, 5):
        await store(connection, number, [line(seconds_ago=number)] * 3)
    await merge_all(connection, 1, 5)
    await store(connection, 3, [line(seconds_ago=9)] * 3)
    assert keys(await reader.search(search())) == await expected(connection, search())


@pytest.mark.usefixtures("small_steps")
async def test_a_merge_while_a_search_runs_hides_no_row(connection: asyncpg.Connection, database: str) -> None:
    for number in range(1, 9):
        await store(connection, number, [line(seconds_ago=number)])
    pool = await create_reader_pool(ConnectionSettings(database), max_size=1)
    async with Database(pool, max_concurrent=1).reading() as asking:
        blocks = BlockList(asking, search().scope, "desc")
        first = await blocks.next(3)
        await merge_all(connection, 1, 8)
        assert len(first + await blocks.next(100)) == 8
    await pool.close()


async def test_a_block_that_nothing_is_known_of_is_read(connection: asyncpg.Connection, reader: LogReader) -> None:
    await store(connection, 1, [line(service="a", word="rare")])
    await connection.execute("UPDATE blocks SET services = NULL, hosts = NULL, bloom = NULL")
    assert len((await reader.search(search("service:a host:h-0 rare"))).logs) == 1


async def test_a_block_without_a_word_is_not_asked_for_one(connection: asyncpg.Connection, reader: LogReader) -> None:
    await store(connection, 1, ["-", "..."])
    await connection.execute("UPDATE blocks SET bloom = ''")
    assert (await reader.search(search("rare"))).logs == []


async def plan_of(reader: LogReader, asked: Search) -> dict[str, Any]:
    plan = (await reader.search(asked, explain=True)).plan
    assert plan is not None
    return plan


async def test_a_plan_says_which_blocks_were_skipped_and_why(connection: asyncpg.Connection, reader: LogReader) -> None:
    await store(connection, 1, [line(seconds_ago=90_000, level="error", service="a", word="rare")])
    await store(connection, 2, [line(level="info", service="a", word="rare")])
    await store(connection, 3, [line(level="error", service="b", word="rare")])
    await store(connection, 4, [line(level="error", service="a", seconds_ago=1, word="rare")])
    await store(connection, 5, [line(level="error", service="a", seconds_ago=3)])
    await store(connection, 6, [line(level="error", service="a", seconds_ago=3, word="rare")])
    scope = Scope(ARRIVAL - timedelta(hours=1), LATEST, parse_filter("level>=error service:a* host:h-0 rare"))
    plan = await plan_of(reader, Search(scope))
    assert plan["blocks"] == {
        "considered": 6,
        "skipped": {"time": 1, "level": 1, "service": 1, "host": 1, "words": 1},
        "read": 1,
        "not_needed": 0,
    }
    assert (plan["index"], plan["rows"]) == ("blocks", {"read_estimate": 1, "found": 1})
    assert [step["does"] for step in plan["steps"]] == ["list blocks", "read blocks"]
    assert plan["filter"] == "level>=error service:a* host:h-0 rare"


@pytest.mark.usefixtures("small_steps")
async def test_a_search_stops_when_no_older_block_can_matter(connection: asyncpg.Connection, reader: LogReader) -> None:
    for number in range(1, 9):
        await store(connection, number, [line(seconds_ago=60 - number)] * 3)
    for order in ("desc", "asc"):
        plan = await plan_of(reader, search(order=order, limit=2))
        assert (plan["blocks"]["read"], plan["blocks"]["not_needed"]) == (1, 7)


@pytest.mark.usefixtures("small_steps")
async def test_errors_of_a_service_are_read_by_their_index_unless_blocks_leave_less(
    connection: asyncpg.Connection, reader: LogReader
) -> None:
    for number in range(1, 9):
        await store(connection, number, [line(level="error", service="a")] * 3)
    await store(connection, 9, [line(level="error", service="a", word="rare")])
    assert (await plan_of(reader, search("service:a level>=error")))["index"] == "logs_errors"
    assert (await plan_of(reader, search("service:a,b level:critical,error")))["index"] == "logs_errors"
    assert (await plan_of(reader, search("service:a level>=error rare")))["index"] == "blocks"
    assert (await plan_of(reader, search("service:a* level>=error")))["index"] == "blocks"
    assert (await plan_of(reader, search("service:a level>=warning")))["index"] == "blocks"


async def test_a_filter_that_nothing_can_pass_reads_nothing(connection: asyncpg.Connection, reader: LogReader) -> None:
    await store(connection, 1, [line()])
    plan = await plan_of(reader, search("level:error level:info"))
    assert (plan["blocks"]["skipped"]["level"], plan["blocks"]["read"]) == (1, 0)


async def test_words_are_asked_for_by_hashes_alone(connection: asyncpg.Connection, reader: LogReader) -> None:
    many = " ".join(f"word{number}" for number in range(60))
    await store(connection, 1, [line(word=many)])
    assert len((await reader.search(search(many))).logs) == 1
    asked = f"({' OR '.join(f'(word{number} common)' for number in range(30))}) word59"
    assert len((await reader.search(search(asked))).logs) == 0
    assert len((await reader.search(search('"' + "a b " * 1_000 + '"'))).logs) == 0
