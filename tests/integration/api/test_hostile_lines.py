"""Lines that attack whoever reads them: every format shows them as the text they are, and as nothing else."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from stored_lines import store
from yarl import URL

from logstreamd.cli.event_stream import EventStream

TEXTS = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    "\x1b[2J\x1b]0;owned\x07\x1b[31mred",
    "\x9b31m\x85next line",
    "bell\x07 backspace\x08\x08\x08 delete\x7f",
    "over\rwritten",
    "two\nlines\r\nor three",
    "\u2028line\u2029paragraph",
    "\u202egpj.exe\u2066 isolated",
    "nul\0nul",
    "lone \ud800 surrogate",
    "\ufeff\ufffe\uffff",
    'quote " comma , semicolon ; tab \t',
    "'; DROP TABLE logs; --",
    '=HYPERLINK("http://x","y")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "data: x\n\nevent: log\ndata: {}\n\n",
    '{"error": {"code": "query_timeout"}}',
    "${jndi:ldap://x}",
    "\\",
    '"',
    "%00%0a%s{0}",
    "🏴\U000e0067\U000e0062👩‍👩‍👧‍👦",
    "a" * 60_000,
]
CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f]")  # all but the line feed, that ends lines


def hostile(text: str) -> str:
    """Return a line that has a text everywhere."""
    fields = {"message": text, "service": text[:200], "host": text[:200], "tags": {text[:50]: text[:200]}}
    return json.dumps(fields | {text[:50]: {text[:50]: [text[:200]]}, "level": "error"})


@pytest.fixture
async def api(start_questions: Callable[..., Any], connection: asyncpg.Connection) -> AsyncIterator[Any]:
    for number, text in enumerate(TEXTS, 1):
        await store(connection, hostile(text), number=number)
    async with start_questions(timeout_seconds=30) as api:
        yield api


async def logs_of(api: Any) -> list[dict[str, Any]]:
    logs: list[dict[str, Any]] = json.loads(await api.text("/api/v1/logs", order="asc"))["logs"]
    return logs


async def stored_of(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("SELECT message, service, host, attrs FROM logs ORDER BY id")
    return [{**row, "attrs": json.loads(row["attrs"])} for row in rows]


async def body_of(api: Any, path: str, **parameters: str) -> bytes:
    async with api.client.get(api.url + path, params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        body: bytes = await answer.read()
        return body


async def test_json_is_what_is_stored_without_a_control_character(api: Any, connection: asyncpg.Connection) -> None:
    logs = await logs_of(api)
    assert [{name: log[name] for name in ("message", "service", "host", "attrs")} for log in logs] == await stored_of(
        connection
    )
    storable = [text for text in TEXTS if "\0" not in text and text.isprintable()]
    assert {log["message"] for log in logs} >= set(storable)
    assert not CONTROLS.search(await body_of(api, "/api/v1/logs"))


async def test_a_line_of_ndjson_is_a_log(api: Any) -> None:
    body = await body_of(api, "/api/v1/logs", format="ndjson", order="asc")
    assert not CONTROLS.search(body)
    assert body.endswith(b"\n")
    assert [json.loads(line) for line in body[:-1].split(b"\n")] == await logs_of(api)


async def test_csv_has_a_row_for_each_log_and_no_formula(api: Any) -> None:
    body = await body_of(api, "/api/v1/logs", format="csv", order="asc")
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    logs = await logs_of(api)
    assert len(rows) == len(logs)
    for row, log in zip(rows, logs, strict=True):
        assert list(row) == list(log)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
        assert json.loads(row["attrs"]) == log["attrs"]
        for name in ("message", "service", "host"):
            assert row[name].removeprefix("'") == log[name].removeprefix("'")


async def test_an_event_of_a_tail_is_a_log(api: Any) -> None:
    stream, events = EventStream(), []
    async with asyncio.timeout(30), api.client.get(f"{api.url}/api/v1/logs/tail?last={len(TEXTS)}") as answer:
        while len([event for event in events if event.data]) < len(TEXTS):
            piece = await answer.content.readany()
            assert not CONTROLS.search(piece)
            events += stream.feed(piece)
    shown = [event for event in events if event.data]
    assert {event.kind for event in shown} == {"log"}
    assert [json.loads(event.data) for event in shown] == await logs_of(api)


async def test_names_and_values_can_be_asked_for_as_they_are_listed(api: Any) -> None:
    listed = json.loads(await api.text("/api/v1/fields"))["fields"]
    names = [field["name"] for field in listed if field["name"].startswith(("attrs.", "tag."))]
    assert len(names) >= 2 * len({text[:50] for text in TEXTS}) - 4  # some names are alike once they are stored
    for name in names:
        url = URL(f"{api.url}/api/v1/fields/{quote(name, safe='')}/values", encoded=True)
        async with api.client.get(url) as answer:
            assert answer.status == 200, name
            assert sum(value["count"] for value in (await answer.json())["values"]) >= 1, name


async def test_values_are_labels_that_find_their_rows_again(api: Any) -> None:
    series = json.loads(await api.text("/api/v1/counts", by="service"))["series"]
    assert sum(one["total"] for one in series) == len(TEXTS)
    for service in [one["labels"]["service"] for one in series]:
        if service is not None and "," not in service and service == service.strip():
            counted = json.loads(await api.text("/api/v1/counts", service=service))["series"]
            assert counted[0]["total"] >= 1, service


@pytest.mark.parametrize("path", ["/api/v1/errors/stats", "/api/v1/spikes", "/api/v1/counts", "/api/v1/fields"])
async def test_no_answer_has_a_control_character(api: Any, path: str) -> None:
    parameters = {"start": "2026-11-22T02:00:00Z", "end": "2026-11-22T04:00:00Z"}
    if path == "/api/v1/counts":
        parameters["by"] = "service,host"
    if path == "/api/v1/spikes":
        parameters["min_count"] = "1"
    body = await body_of(api, path, **parameters)
    assert not CONTROLS.search(body)
    json.loads(body)
