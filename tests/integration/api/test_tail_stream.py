"""The live tail over HTTP: its events, its bounds, its end."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from batches import batch_of, encoded

from logstreamd.api.access import Access
from logstreamd.api.application import HttpServer, build_application
from logstreamd.api.logs import LogsResource
from logstreamd.api.tail import TailResource
from logstreamd.cli.event_stream import Event, EventStream
from logstreamd.config import HttpConfig
from logstreamd.metrics import Metrics
from logstreamd.query.database import Database
from logstreamd.query.search import LogReader
from logstreamd.query.tail import Feed, Follower, RecentBatches
from logstreamd.query.tail import follower as follower_module
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.store import store_batch
from logstreamd.tokens import TokenSet

PATH = "/api/v1/logs/tail"


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "_ROUND_SECONDS", 10)  # the machine may be busy with other tests
    monkeypatch.setattr(follower_module, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(follower_module, "_LEAST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(follower_module, "_MOST_PAUSE_SECONDS", 0.02)


class TailServer:
    """The HTTP side with a follower behind it, and a client."""

    def __init__(self, pool: asyncpg.Pool, *, max_clients: int, **options: float) -> None:
        self.metrics = Metrics(version="test", wire="python")
        reader = LogReader(Database(pool, max_concurrent=4))
        self.follower = Follower(
            Feed(Database(pool, max_concurrent=4)), RecentBatches(), self.metrics, max_clients=max_clients
        )
        self.resource = TailResource(self.follower, reader, max_rows=50, **options)
        resources = [self.resource, LogsResource(reader, max_rows=50)]
        self.server = HttpServer(
            build_application(
                resources,
                access=Access(HttpConfig(), TokenSet(), self.metrics),
                metrics=self.metrics,
                max_body_bytes=1 << 20,
            ),
            host="127.0.0.1",
            port=0,
        )
        self.client = aiohttp.ClientSession()
        self.task = asyncio.create_task(self.follower.run())

    @property
    def url(self) -> str:
        return f"http://{self.server.endpoints[0]}"

    async def refused(self, **parameters: str) -> tuple[int, dict[str, Any]]:
        headers = {"Last-Event-ID": parameters.pop("last_event_id", "")}
        async with self.client.get(self.url + PATH, params=parameters, headers=headers) as answer:
            return answer.status, (await answer.json())["error"]

    async def until_clients(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.follower.clients != count:
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.follower.close()
        await self.server.stop()
        await self.client.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def start_tails(database: str) -> AsyncIterator[Callable[..., Awaitable[TailServer]]]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=6)
    started: list[TailServer] = []

    async def start(*, max_clients: int = 60, **options: float) -> TailServer:
        one = TailServer(pool, max_clients=max_clients, **options)
        started.append(one)
        await one.server.start()
        return one

    yield start
    for one in started:
        await one.stop()
    await pool.close()


@pytest.fixture
async def tails(start_tails: Callable[..., Any]) -> TailServer:
    return await start_tails()


class Client:
    """One stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.events: list[Event] = []
        self._stream = EventStream()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(event.data) for event in self.events if event.kind == "log"]

    @property
    def messages(self) -> list[str]:
        return [row["message"] for row in self.rows]

    @property
    def last_id(self) -> str:
        return next(event.id for event in reversed(self.events) if event.id)

    async def until(self, there: Callable[[Client], Any]) -> Client:
        async with asyncio.timeout(20):
            while not there(self):
                piece = await self.answer.content.readany()
                assert piece, "the stream ended"
                self.events += self._stream.feed(piece)
        return self

    async def until_rows(self, count: int) -> list[str]:
        return (await self.until(lambda one: len(one.messages) >= count)).messages

    async def ended(self) -> bool:
        async with asyncio.timeout(20):
            while await self.answer.content.readany():
                pass
        return True


async def follow(tails: TailServer, last_event_id: str = "", **parameters: str) -> Client:
    """Open a stream; it is closed with the session at the end of the test, or by the test."""
    answer = await tails.client.get(
        tails.url + PATH, params=parameters, headers={"Last-Event-ID": last_event_id}, timeout=aiohttp.ClientTimeout()
    )
    assert answer.status == 200, await answer.text()
    return Client(answer)


async def store(connection: asyncpg.Connection, *messages: str, number: int) -> None:
    batch = batch_of(messages)
    await store_batch(connection, batch, encoded(batch, number), spool_id=UUID(int=7), seq=number)


async def test_a_row_looks_as_in_a_search_and_no_proxy_holds_it_back(
    tails: TailServer, connection: asyncpg.Connection
) -> None:
    client = await follow(tails, q="paid", level="error")
    assert client.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert (client.answer.headers["Cache-Control"], client.answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
    await store(
        connection,
        '<163>1 2026-11-22T02:59:59.25Z web-1 checkout 814 ID47 [ex@1 user="Müller"] paid 5 €',
        "<166>1 - web-1 checkout - - - paid, and no error",
        number=1,
    )
    await client.until_rows(1)
    async with tails.client.get(f"{tails.url}/api/v1/logs", params={"level": "error"}) as answer:
        assert client.rows == (await answer.json())["logs"]


async def test_rows_of_before_come_first_and_none_of_them_again(
    tails: TailServer, connection: asyncpg.Connection
) -> None:
    for number in range(1, 6):
        await store(connection, f"<14>1 2026-11-22T02:00:0{number}Z - - - - - old {number}", number=number)
    client = await follow(tails, q="old OR new", last="2")
    recent = await follow(tails, since="2026-11-22T02:00:03Z")
    await store(connection, "new", number=6)
    assert await client.until_rows(3) == ["old 4", "old 5", "new"]
    assert await recent.until_rows(4) == ["old 3", "old 4", "old 5", "new"]


async def test_a_client_that_comes_back_goes_on_where_it_was(tails: TailServer, connection: asyncpg.Connection) -> None:
    client = await follow(tails)
    async with connection.transaction():
        await store(connection, "a", "b", number=2)
        await store(connection, "c", number=3)
    await client.until_rows(3)
    after_a = next(event.id for event in client.events if b'"a"' in event.data)
    client.answer.close()
    await store(connection, "stored later, with a lower id", number=1)
    again = await follow(tails, after_a, last="50")
    assert await again.until_rows(3) == ["b", "c", "stored later, with a lower id"]
    last = await follow(tails, again.last_id)
    await store(connection, "d", number=4)
    assert await last.until_rows(1) == ["d"]
    assert await again.until_rows(4) == ["b", "c", "stored later, with a lower id", "d"]


async def test_a_client_that_was_away_for_too_long_is_told(tails: TailServer) -> None:
    client = await (await follow(tails, "1~1~5:5:~5:5:~0")).until(lambda one: len(one.events) >= 2)
    (skipped,) = (event.data for event in client.events if event.kind == "skipped")
    assert json.loads(skipped) == {"skipped": None, "unread": None}


async def test_silence_is_broken_by_an_event_that_only_says_how_far_the_client_is(
    start_tails: Callable[..., Any], connection: asyncpg.Connection
) -> None:
    tails = await start_tails(heartbeat_seconds=0.05)
    client = await follow(tails, q="rare")
    first = (await client.until(lambda one: len(one.events) >= 2)).last_id
    await store(connection, "common", number=1)
    await client.until(lambda one: one.last_id.split("~")[3] != first.split("~")[3])
    assert client.messages == []
    await store(connection, "rare", number=2)
    assert await (await follow(tails, client.last_id, q="rare")).until_rows(1) == ["rare"]


@pytest.mark.parametrize(
    ("parameters", "field", "message"),
    [
        ({"q": "service:"}, "q", "q:9: expected"),
        ({"start": "-1h"}, "start", "is not a parameter"),
        ({"limit": "5"}, "limit", "is not a parameter"),
        ({"last": "51"}, "last", r"1\.\.50"),
        ({"since": "yesterday"}, "since", "must be a time"),
        ({"last_event_id": "1~2~3"}, "Last-Event-ID", "must be the id"),
        ({"last_event_id": "1~1~5:5:~9:5:~0"}, "Last-Event-ID", "must be the id"),
        ({"last_event_id": "1~1~5:9:7,6~5:9:~0"}, "Last-Event-ID", "must be the id"),
        ({"last_event_id": "1~1~5:5:');SELECT~5:5:~0"}, "Last-Event-ID", "must be the id"),
    ],
)
async def test_a_bad_question_is_refused(
    tails: TailServer, parameters: dict[str, str], field: str, message: str
) -> None:
    status, error = await tails.refused(**parameters)
    assert (status, error["field"]) == (400, field)
    assert re.search(message, error["message"]), error
    assert tails.follower.clients == 0


async def test_one_client_too_many_is_refused_for_now(start_tails: Callable[..., Any]) -> None:
    tails = await start_tails(max_clients=1)
    client = await follow(tails)
    status, error = await tails.refused()
    assert (status, error["code"]) == (429, "too_many_tails")
    client.answer.close()
    await tails.until_clients(0)
    await follow(tails)


async def test_fifty_clients_get_every_row_once(tails: TailServer, connection: asyncpg.Connection) -> None:
    clients = [await follow(tails, q=f"row -{number}" if number % 2 else "row") for number in range(50)]
    for number in range(1, 11):
        await store(connection, *(f"row {number * 100 + row}" for row in range(20)), number=number)
    for client in clients:
        messages = await client.until_rows(200)
        assert messages == [f"row {number * 100 + row}" for number in range(1, 11) for row in range(20)]


async def test_a_client_that_does_not_read_is_let_go_and_holds_up_nobody(
    start_tails: Callable[..., Any], connection: asyncpg.Connection
) -> None:
    tails = await start_tails(write_seconds=0.5)
    host, _, port = tails.server.endpoints[0].rpartition(":")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await tails.until_clients(1)
        reading = await follow(tails)
        number = 0
        while tails.follower.clients == 2:  # until the kernel's buffers are full, and then the daemon's
            number += 1
            await store(connection, *(f"{number} {'x' * 60_000}" for _ in range(10)), number=number)
            await reading.until_rows(10 * number)
            assert number < 100
    assert len(reading.messages) == 10 * number


async def test_clients_that_vanish_leave_nothing_behind(tails: TailServer, connection: asyncpg.Connection) -> None:
    clients = [await follow(tails, q=f"a{number}") for number in range(10)]
    await store(connection, "a1 a2", number=1)
    for client in clients:
        client.answer.close()
    await tails.until_clients(0)
    assert tails.metrics.registry.get_sample_value("logstreamd_tail_clients") == 0
    assert tails.follower._groups == {}
    busy = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    assert busy == 0


async def test_when_the_daemon_stops_every_stream_ends_at_once(tails: TailServer) -> None:
    clients = [await follow(tails) for _ in range(3)]
    tails.follower.close()
    await tails.server.stop()
    assert all([await client.ended() for client in clients])
    assert tails.follower.clients == 0


async def test_a_tail_has_no_head(tails: TailServer) -> None:
    async with tails.client.head(tails.url + PATH) as answer:
        assert answer.status == 405
