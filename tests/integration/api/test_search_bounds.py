"""What a search may cost, whoever asks: nothing is left running in PostgreSQL, and other questions are answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from batches import batch_of, encoded

from logstreamd.query.cursor import encode_cursor
from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.errors import QueryTimeoutError
from logstreamd.query.search import LogReader
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=10)


async def store(connection: asyncpg.Connection, *messages: str, number: int = 1) -> None:
    batch = batch_of(messages)
    await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=number)


async def running(connection: asyncpg.Connection) -> int:
    return await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'logstreamd query' AND state <> 'idle'"
    )


async def make_slow(connection: asyncpg.Connection, table: str = "logs", *, seconds: float = 60) -> None:
    """Let every look at a table take its time."""
    await connection.execute(
        f"ALTER TABLE {table} RENAME TO {table}_behind;"
        f"CREATE VIEW {table} AS SELECT {table}_behind.* FROM {table}_behind, pg_sleep({seconds})"
    )


@pytest.fixture
async def patient(start_api: Callable[..., Any], database: str) -> AsyncIterator[Any]:
    """With a second for each statement and each question, four questions at once, and help for one."""
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=1), max_size=5)
    yield await start_api(LogReader(Database(pool, max_concurrent=4, timeout_seconds=1)))
    await pool.close()


async def test_a_hundred_slow_questions_are_answered_or_refused_and_leave_nothing(
    patient: Any, connection: asyncpg.Connection
) -> None:
    await store(connection, "a row to look at")
    await make_slow(connection)
    statuses = [status for status, _, _ in await asyncio.gather(*(patient.get("/api/v1/logs") for _ in range(100)))]
    assert sorted(statuses) == [429] * 96 + [504] * 4
    assert await running(connection) == 0
    await connection.execute("DROP VIEW logs; ALTER TABLE logs_behind RENAME TO logs")
    assert (await patient.get("/api/v1/logs"))[0] == 200


@pytest.mark.parametrize("table", ["logs", "blocks"])
@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
async def test_clients_that_vanish_take_their_questions_along_within_two_seconds(
    start_api: Callable[..., Any], database: str, connection: asyncpg.Connection, table: str, form: str
) -> None:
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=60), max_size=5)
    api = await start_api(LogReader(Database(pool, max_concurrent=4)))
    await store(connection, "a row to look at")
    await make_slow(connection, table)
    asking = asyncio.create_task(api.get("/api/v1/logs", format=form))
    while not await running(connection):
        await asyncio.sleep(0.001)
    asking.cancel()
    gone_at = time.monotonic()
    while await running(connection):
        await asyncio.sleep(0.005)
    assert time.monotonic() - gone_at < 2
    await pool.close()


async def test_a_question_of_many_statements_has_one_time_for_all_of_them(
    patient: Any, connection: asyncpg.Connection
) -> None:
    for number in range(1, 9):
        await store(connection, *("hay" for _ in range(9_000)), "needle", number=number)
    await make_slow(connection, seconds=0.6)
    status, answer, _ = await patient.get("/api/v1/logs", q="/needle/")
    assert (status, answer["error"]["code"]) == (504, "query_timeout")
    assert await running(connection) == 0


async def test_a_deadline_that_is_over_asks_nothing_more(connection: asyncpg.Connection) -> None:
    now = 0.0
    deadline = Deadline(1.0, clock=lambda: now)
    async with connection.transaction():
        await deadline.hold(connection)
        assert await connection.fetchval("SHOW statement_timeout") == "1s"
        now = 0.75
        await deadline.hold(connection)
        assert await connection.fetchval("SHOW statement_timeout") == "250ms"
        now = 0.9999
        with pytest.raises(QueryTimeoutError):
            await deadline.hold(connection)


BOMBS = [
    "(a+)+$",
    "(a|a)*b",
    "((a*)*)*b",
    "(a|aa)+$",
    "(.*a){20}b",
    "(a?){100}a{100}",
    "a{0,255}b",
    "(x+x+)+y",
    "([a-z]+)*!",
    "(a|b|ab)*c" * 10,
    ".*" * 60 + "z",
    "(((((a+)?)+)?)+)?b",
]


@pytest.mark.parametrize("bomb", BOMBS)
async def test_regexes_that_explode_are_refused_answered_or_ended(
    patient: Any, connection: asyncpg.Connection, bomb: str
) -> None:
    await store(connection, *("a" * 65_000 for _ in range(3)), "xxxxx" * 100)
    status, answer, _ = await patient.get("/api/v1/logs", q=f"/{bomb}/")
    assert status in (200, 400, 504), answer
    assert status != 400 or answer["error"]["code"] == "bad_filter"
    assert await running(connection) == 0
    assert (await patient.get("/api/v1/logs", limit="1"))[0] == 200


async def test_filters_as_large_as_they_may_be_are_answered(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, json.dumps({"message": " ".join(f"w{number}" for number in range(64)), "service": "s"}))
    words = " ".join(f"w{number}" for number in range(64))
    either = " OR ".join(f"(w{number} nowhere)" for number in range(32))
    phrase = '"' + " ".join(f"w{number}" for number in range(64)) + '"'
    nested = "(" * 30 + "w1" + ")" * 30
    prefixes = ",".join(f"{'s' * number}*" for number in range(1, 60))
    for asked, rows in ((words, 1), (either, 0), (phrase, 1), (nested, 1), (f"service:{prefixes}", 1)):
        status, answer, _ = await patient.get("/api/v1/logs", q=asked)
        assert status == 200, answer
        assert len(answer["logs"]) == rows


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize(
    "after",
    [
        (datetime(1, 1, 1, tzinfo=UTC), 0),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), 2**63 - 1),
        (datetime(1969, 12, 31, tzinfo=UTC), -(2**63)),
        (datetime(2026, 11, 22, 3, tzinfo=UTC), 2**63 - 1),
    ],
)
async def test_cursors_of_nowhere_are_a_place_like_any_other(
    patient: Any, connection: asyncpg.Connection, order: str, after: tuple[datetime, int]
) -> None:
    await store(connection, "row")
    status, answer, _ = await patient.get("/api/v1/logs", order=order, cursor=encode_cursor(*after))
    assert status == 200, answer


@pytest.mark.parametrize(
    "parameters",
    [
        {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"},
        {"start": "-999999999d"},
        {"start": "-99999999w", "end": "now"},
        {"end": "+999999d"},
        {"limit": "50", "start": "9998-01-01T00:00:00Z"},
    ],
)
async def test_ranges_beyond_all_reason_are_answered_or_refused(
    patient: Any, connection: asyncpg.Connection, parameters: dict[str, str]
) -> None:
    await store(connection, "row")
    status, answer, _ = await patient.get("/api/v1/logs", **parameters)
    assert status == 200 or (status == 400 and answer["error"]["field"] in parameters), answer


async def test_clients_that_hang_up_in_the_middle_of_an_export_leave_a_free_place(
    patient: Any, connection: asyncpg.Connection
) -> None:
    await store(connection, *(json.dumps({"message": "x" * 60_000}) for _ in range(300)))
    url = f"{patient.url}/api/v1/logs?format=ndjson&limit=300"
    for _ in range(5):
        async with aiohttp.ClientSession() as leaving:
            answer = await leaving.get(url)
            assert answer.status == 200
            await answer.content.readany()
            answer.close()
        while (await status_of(patient, format="ndjson", limit="1")) == 429:
            await asyncio.sleep(0.005)
    assert await running(connection) == 0


async def status_of(api: Any, **parameters: str) -> int:
    async with api.client.get(f"{api.url}/api/v1/logs", params=parameters) as answer:
        return answer.status
