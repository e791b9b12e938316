from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from batches import batch_of, encoded

from logstreamd.query import search as search_module
from logstreamd.query.database import Database
from logstreamd.query.search import LogReader, Page, Search
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=8)


async def store(connection: asyncpg.Connection, *messages: str | bytes, number: int = 1) -> None:
    batch = batch_of(messages)
    await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=number)


async def text_of(api: Any, **parameters: str) -> tuple[str, str]:
    async with api.client.get(f"{api.url}/api/v1/logs", params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text(), answer.headers["Content-Type"]


async def status_of(api: Any, **parameters: str) -> int:
    async with api.client.get(f"{api.url}/api/v1/logs", params=parameters) as answer:
        return answer.status


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stream ask for seven rows at a time."""
    monkeypatch.setattr(search_module, "_STREAMED_AT_ONCE", 7)


@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_lines_of_json_are_the_logs_of_the_document(
    searchable: Any, connection: asyncpg.Connection, order: str
) -> None:
    await store(connection, *(f"line {number}" for number in range(40)))
    text, content_type = await text_of(searchable, format="ndjson", limit="40", order=order)
    _, document, _ = await searchable.get("/api/v1/logs", limit="40", order=order)
    assert [json.loads(line) for line in text.splitlines()] == document["logs"]
    assert content_type == "application/x-ndjson"


@pytest.mark.usefixtures("small_portions")
async def test_a_stream_has_as_many_rows_as_asked_for_beyond_the_cap_of_a_document(
    searchable: Any, connection: asyncpg.Connection
) -> None:
    await store(connection, *(f"line {number}" for number in range(99)))
    for limit, rows in ((1, 1), (7, 7), (8, 8), (60, 60), (99, 99), (500, 99)):
        text, _ = await text_of(searchable, format="ndjson", limit=str(limit))
        assert len(text.splitlines()) == rows
    status, answer, _ = await searchable.get("/api/v1/logs", format="ndjson", limit="501")
    assert (status, answer["error"]["message"]) == (400, "limit: must be a whole number 1..500 (got '501')")


async def test_csv_has_a_header_and_quotes_what_needs_it(searchable: Any, connection: asyncpg.Connection) -> None:
    message = 'a, "quoted"\r\nline; ünïcode 😀'
    await store(connection, json.dumps({"message": message, "service": "a,b", "n": [1, 2], "level": "error"}))
    text, content_type = await text_of(searchable, format="csv")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["message"] == message
    assert (row["service"], row["level"], row["trace_id"], row["severity"]) == ("a,b", "error", "", "3")
    assert json.loads(row["attrs"]) == {"n": [1, 2]}
    assert row["received_at"] == "2026-11-22T03:00:00Z"
    assert text.splitlines()[0].startswith("id,ts,received_at,level,severity")
    assert text.endswith("\r\n")
    assert content_type == "text/csv; charset=utf-8; header=present"


async def test_no_cell_of_csv_is_a_formula(searchable: Any, connection: asyncpg.Connection) -> None:
    attacks = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1"]
    await store(connection, *(json.dumps({"message": one, "service": one.strip()}) for one in attacks))
    text, _ = await text_of(searchable, format="csv", order="asc")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["message"] for row in rows] == [f"'{one}" for one in attacks]
    assert all(row["service"].startswith("'") for row in rows)


async def test_nothing_found_is_nothing_and_a_header(searchable: Any) -> None:
    assert (await text_of(searchable, format="ndjson"))[0] == ""
    assert (await text_of(searchable, format="csv"))[0].count("\r\n") == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv"),
        ("application/x-ndjson;q=0.9, */*;q=0.1", "application/x-ndjson"),
        ("application/json, text/csv", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
async def test_the_format_may_be_asked_for_by_accept(searchable: Any, accept: str, content_type: str) -> None:
    async with searchable.client.get(f"{searchable.url}/api/v1/logs", headers={"Accept": accept}) as answer:
        assert answer.content_type == content_type
    url = f"{searchable.url}/api/v1/logs?format=json"
    async with searchable.client.get(url, headers={"Accept": accept}) as answer:
        assert answer.content_type == "application/json"


@pytest.mark.parametrize("parameters", [{"format": "xml"}, {"format": ""}, {"explain": "yes"}])
async def test_an_unknown_format_is_refused(searchable: Any, parameters: dict[str, str]) -> None:
    status, answer, _ = await searchable.get("/api/v1/logs", **parameters)
    assert (status, answer["error"]["field"]) == (400, *parameters)


async def test_a_plan_comes_with_a_document_only(searchable: Any) -> None:
    status, answer, _ = await searchable.get("/api/v1/logs", format="csv", explain="1")
    assert (status, answer["error"]["field"]) == (400, "explain")


async def test_what_is_wrong_before_the_first_line_is_an_answer_like_any_other(searchable: Any) -> None:
    for parameters in ({"q": "("}, {"limit": "0"}, {"cursor": "x"}):
        assert (await searchable.get("/api/v1/logs", format="ndjson", **parameters))[0] == 400


@pytest.mark.usefixtures("small_portions")
async def test_an_error_on_the_way_is_the_last_line_and_the_answer_has_no_end(
    searchable: Any, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(connection, *(f"line {number}" for number in range(20)))
    asked = searchable.reader.search

    async def fail_behind_the_first(search: Search, **more: Any) -> Page:
        if search.after is not None:
            await connection.execute(
                "ALTER TABLE logs RENAME TO logs_behind;"
                "CREATE VIEW logs AS SELECT logs_behind.* FROM logs_behind, pg_sleep(60)"
            )
        return await asked(search, **more)

    monkeypatch.setattr(searchable.reader, "search", fail_behind_the_first)
    body = bytearray()
    async with searchable.client.get(f"{searchable.url}/api/v1/logs?format=ndjson&limit=20") as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            async for piece in answer.content.iter_any():
                body += piece
    lines = [json.loads(line) for line in body.splitlines()]
    assert lines[-1]["error"]["code"] == "query_timeout"
    assert len(lines) == 8


async def test_only_so_many_streams_run_at_once(
    start_api: Callable[..., Any], database: str, connection: asyncpg.Connection
) -> None:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=4)
    api = await start_api(LogReader(Database(pool, max_concurrent=4)))
    await store(connection, *(json.dumps({"message": "x" * 60_000}) for _ in range(400)))
    url = f"{api.url}/api/v1/logs?format=ndjson&limit=500"
    async with api.client.get(url) as slow:
        await slow.content.readany()
        async with api.client.get(url) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert (await api.get("/api/v1/logs", limit="1"))[0] == 200
        assert (
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'logstreamd query' AND state <> 'idle'"
            )
            == 0
        )
    await pool.close()


async def test_a_client_that_takes_nothing_is_left(
    start_api: Callable[..., Any], database: str, connection: asyncpg.Connection
) -> None:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=4)
    api = await start_api(LogReader(Database(pool, max_concurrent=4)), write_seconds=0.2)
    await store(connection, *(json.dumps({"message": "x" * 60_000}) for _ in range(400)))
    url = f"{api.url}/api/v1/logs?format=ndjson&limit=500"
    async with api.client.get(url) as slow:
        await slow.content.readany()
        while (await status_of(api, format="ndjson", limit="1")) == 429:
            await asyncio.sleep(0.01)
    await pool.close()
