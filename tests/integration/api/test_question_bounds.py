"""What any question may cost, whoever asks: bounds on how many run and for how long, and nothing left in PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any

import asyncpg
import pytest
from stored_lines import store

START, END = "2026-11-22T02:00:00Z", "2026-11-22T04:00:00Z"
QUESTIONS = {
    "rows": ("/api/v1/logs", {}),
    "lines": ("/api/v1/logs", {"format": "ndjson"}),
    "plan": ("/api/v1/logs", {"explain": "1"}),
    "exact counts": ("/api/v1/counts", {"by": "service", "step": "1m"}),
    "counted rows": ("/api/v1/counts", {"by": "host", "q": "look"}),
    "fields": ("/api/v1/fields", {}),
    "values": ("/api/v1/fields/attrs.user/values", {}),
    "errors": ("/api/v1/errors/stats", {"start": START, "end": END}),
    "spikes": ("/api/v1/spikes", {"start": START, "end": END}),
    "backlog of a tail": ("/api/v1/logs/tail", {"last": "10"}),
}
WITH_FILTER = [name for name in QUESTIONS if name != "spikes"]


@pytest.fixture(params=QUESTIONS)
def question(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    return QUESTIONS[request.param]


async def make_slow(connection: asyncpg.Connection) -> None:
    """Store a row, and let every look at the rows and their counts take a minute."""
    await store(connection, json.dumps({"message": "a row to look at", "level": "error", "user": 1}))
    for table in ("logs", "log_counts", "log_totals"):
        await connection.execute(
            f"ALTER TABLE {table} RENAME TO {table}_behind;"
            f"CREATE FUNCTION {table}_slowly() RETURNS SETOF {table}_behind LANGUAGE plpgsql AS"
            f" 'BEGIN PERFORM pg_sleep(60); RETURN QUERY SELECT * FROM {table}_behind; END';"
            f"CREATE VIEW {table} AS SELECT * FROM {table}_slowly()"
        )


async def running(connection: asyncpg.Connection) -> int:
    return await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        " AND application_name IN ('logstreamd query', 'logstreamd tail')"
    )


async def test_a_hundred_slow_questions_are_answered_or_refused_and_leave_nothing(
    start_questions: Callable[..., Any], connection: asyncpg.Connection, question: tuple[str, dict[str, str]]
) -> None:
    await make_slow(connection)
    path, parameters = question
    async with start_questions(timeout_seconds=0.5) as api:
        statuses = Counter(await asyncio.gather(*(api.status(path, **parameters) for _ in range(100))))
        assert statuses.keys() == {429, 504}
        assert statuses[429] >= statuses[504]
        assert await running(connection) == 0
        assert await api.status("/api/v1/logs", limit="0") == 400


async def test_a_client_that_vanishes_takes_its_question_along_within_two_seconds(
    start_questions: Callable[..., Any], connection: asyncpg.Connection, question: tuple[str, dict[str, str]]
) -> None:
    await make_slow(connection)
    path, parameters = question
    async with start_questions(timeout_seconds=60) as api:
        asking = asyncio.create_task(api.status(path, **parameters))
        while not await running(connection):
            assert not asking.done(), asking
            await asyncio.sleep(0.001)
        asking.cancel()
        gone_at = time.monotonic()
        while await running(connection):
            await asyncio.sleep(0.005)
        assert time.monotonic() - gone_at < 2


@pytest.mark.parametrize("name", WITH_FILTER)
@pytest.mark.parametrize("bomb", ["((a*)*)*b", "(a?){100}a{100}", "(.*a){20}b", "(x+x+)+y"])
async def test_a_regex_that_explodes_is_refused_answered_or_ended(
    start_questions: Callable[..., Any], connection: asyncpg.Connection, name: str, bomb: str
) -> None:
    await store(connection, *(json.dumps({"message": "a" * 60_000, "user": "x" * 400}) for _ in range(3)))
    path, parameters = QUESTIONS[name]
    async with start_questions(timeout_seconds=1) as api:
        assert await api.status(path, **parameters | {"q": f"/{bomb}/"}) in (200, 400, 504)
        while await running(connection):  # a tail that was answered goes on until the server knows that nobody reads
            await asyncio.sleep(0.005)
        assert await api.status("/api/v1/logs", limit="1") == 200


ABSURD = {
    "steps": ("/api/v1/counts", {"step": "1ms", "start": START, "end": END}),
    "a step beyond numbers": ("/api/v1/counts", {"step": "999999999d"}),
    "fields": ("/api/v1/counts", {"by": ",".join(f"attrs.a{number}" for number in range(50))}),
    "the same field": ("/api/v1/counts", {"by": "level,level"}),
    "series": ("/api/v1/counts", {"limit": "99999999"}),
    "errors of all time": ("/api/v1/errors/stats", {"step": "1s", "start": "0001-01-01T00:00:00Z"}),
    "a window": ("/api/v1/errors/stats", {"window": "999999999d"}),
    "newest errors": ("/api/v1/errors/stats", {"limit": "101"}),
    "minutes": ("/api/v1/spikes", {"start": "0001-01-01T00:00:00Z"}),
    "a baseline": ("/api/v1/spikes", {"baseline": "999999999d"}),
    "a sensitivity": ("/api/v1/spikes", {"sensitivity": "1e999"}),
    "errors a minute": ("/api/v1/spikes", {"min_count": "9" * 400}),
    "values": ("/api/v1/fields/service/values", {"limit": "1001"}),
    "a tail": ("/api/v1/logs/tail", {"last": "-1"}),
    "a time of before": ("/api/v1/logs/tail", {"since": "-999999999w"}),
    "a cursor": ("/api/v1/logs", {"cursor": "A" * 1_000}),
}


@pytest.mark.parametrize("name", ABSURD)
async def test_what_is_beyond_all_reason_is_refused_before_the_database_is_asked(
    start_questions: Callable[..., Any], connection: asyncpg.Connection, name: str
) -> None:
    await make_slow(connection)
    path, parameters = ABSURD[name]
    async with start_questions(timeout_seconds=60) as api, api.client.get(api.url + path, params=parameters) as answer:
        assert answer.status == 400, await answer.text()
        assert (await answer.json())["error"]["field"] in parameters


CALENDAR = ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9998-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z")


@pytest.mark.parametrize("name", QUESTIONS)
async def test_the_ends_of_the_calendar_are_times_like_any_other_or_refused(
    start_questions: Callable[..., Any], connection: asyncpg.Connection, name: str
) -> None:
    await store(connection, json.dumps({"message": "a row to look at", "level": "error", "user": 1}))
    path, parameters = QUESTIONS[name]
    asked = [{"since": time} for time in CALENDAR]
    if "tail" not in path:
        asked = [{"start": start, "end": end} for start, end in combinations(CALENDAR, 2)]
        asked += [{name: time} for time in CALENDAR for name in ("start", "end")]
    async with start_questions(timeout_seconds=30) as api:
        for times in asked:
            assert await api.status(path, **parameters | times) in (200, 400), times
