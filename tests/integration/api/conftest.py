"""The HTTP side on a port of its own: a spool that does what the test says, and a database that is real."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest
from manual_spool import ManualSpool

from logstreamd.api.access import Access
from logstreamd.api.application import HttpServer, build_application
from logstreamd.api.ingest import IngestResource
from logstreamd.api.logs import LogsResource
from logstreamd.api.state import StateResource
from logstreamd.api.statistics import statistics_resources
from logstreamd.api.tail import TailResource
from logstreamd.config import HttpConfig
from logstreamd.inputs.http import HttpInput, HttpLimits
from logstreamd.metrics import Metrics
from logstreamd.query.database import Database
from logstreamd.query.search import LogReader
from logstreamd.query.tail import Feed, Follower, RecentBatches
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.tokens import TokenSet

MAX_BODY_BYTES = 1 << 20


class Api:
    """A running server, its parts, and a client."""

    def __init__(
        self,
        reader: LogReader | None,
        database: Database | None = None,
        *,
        write_seconds: float = 30.0,
        http: HttpConfig | None = None,
        tokens: TokenSet | None = None,
    ) -> None:
        self.reader = reader
        self.spool = ManualSpool(prompt=True)
        self.metrics = Metrics(version="test", wire="python")
        self.problems: list[str] = []
        self.input = HttpInput(
            "http",
            self.spool.append,
            self.metrics,
            HttpLimits(max_rows=100, max_bytes=1 << 20, max_body_bytes=2 * MAX_BODY_BYTES, max_lines=1000),
        )
        self.metrics.watch_input("http", in_flight=self.input.count_in_flight, spooled=lambda: len(self.spool.frames))
        self.access = Access(http or HttpConfig(), tokens or TokenSet(), self.metrics)
        self.ingest = IngestResource(self.input, self.access.admission)
        application = build_application(
            [
                StateResource(lambda: self.problems, lambda: {"version": "test"}, self.metrics.registry, lambda: None),
                self.ingest,
                LogsResource(reader, max_rows=50, max_export_rows=500, write_seconds=write_seconds),  # type: ignore[arg-type]
                *statistics_resources(database, reader),  # type: ignore[arg-type]
            ],
            access=self.access,
            metrics=self.metrics,
            max_body_bytes=MAX_BODY_BYTES,
        )
        self.server = HttpServer(application, host="127.0.0.1", port=0)
        self.client = aiohttp.ClientSession()

    @property
    def url(self) -> str:
        return f"http://{self.server.endpoints[0]}"

    async def post(self, body: bytes, **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Send a batch; names of headers are written with underscores."""
        named = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with self.client.post(f"{self.url}/api/v1/logs", data=io.BytesIO(body), headers=named) as answer:
            return answer.status, await answer.json(), answer.headers

    async def get(self, path: str, **parameters: str) -> tuple[int, dict[str, Any], Any]:
        async with self.client.get(self.url + path, params=parameters) as answer:
            return answer.status, await answer.json(), answer.headers


@pytest.fixture
async def start_api() -> AsyncIterator[Callable[..., Any]]:
    started: list[Api] = []

    async def start(reader: LogReader | None = None, database: Database | None = None, **settings: Any) -> Api:
        one = Api(reader, database, **settings)
        await one.server.start()
        started.append(one)
        return one

    yield start
    for one in started:
        await one.client.close()
        await one.server.stop()


@pytest.fixture
async def api(start_api: Callable[..., Any]) -> Api:
    """Without a database: for what is not asked of one."""
    return await start_api()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections that give up after 300 ms."""
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=0.3), max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def searchable(start_api: Callable[..., Any], pool: asyncpg.Pool) -> Api:
    """With a database behind it."""
    return await start_api(LogReader(Database(pool, max_concurrent=4)))


@pytest.fixture
async def patient(start_api: Callable[..., Any], database: str) -> AsyncIterator[Api]:
    """With a database that may take as long as a busy machine does."""
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=30), max_size=4)
    asked = Database(pool, max_concurrent=4)
    yield await start_api(LogReader(asked), asked)
    await pool.close()


class Questions:
    """Every resource that asks the database, at most four questions at a time, and a client."""

    def __init__(self, pool: asyncpg.Pool, tail_pool: asyncpg.Pool, *, timeout_seconds: float) -> None:
        self.metrics = Metrics(version="test", wire="python")
        database = Database(pool, max_concurrent=4, timeout_seconds=timeout_seconds)
        reader = LogReader(database)
        self.follower = Follower(
            Feed(Database(tail_pool, max_concurrent=2)), RecentBatches(), self.metrics, max_clients=4
        )
        resources = [
            LogsResource(reader, max_rows=1_000),
            TailResource(self.follower, reader, max_rows=1_000),
            *statistics_resources(database, reader),
        ]
        self.server = HttpServer(
            build_application(
                resources,
                access=Access(HttpConfig(), TokenSet(), self.metrics),
                metrics=self.metrics,
                max_body_bytes=MAX_BODY_BYTES,
            ),
            host="127.0.0.1",
            port=0,
        )
        self.client = aiohttp.ClientSession()

    @property
    def url(self) -> str:
        return f"http://{self.server.endpoints[0]}"

    async def text(self, path: str, **parameters: str) -> str:
        """Return what is answered with a 200."""
        async with self.client.get(self.url + path, params=parameters) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return text

    async def status(self, path: str, **parameters: str) -> int:
        """Return the status; of a stream only its beginning is read."""
        async with self.client.get(self.url + path, params=parameters) as answer:
            return answer.status


@pytest.fixture
def start_questions(database: str) -> Callable[..., Any]:
    """Serves all questions for as long as a block lasts, with a time for each."""

    @asynccontextmanager
    async def serve(timeout_seconds: float) -> AsyncIterator[Questions]:
        settings = ConnectionSettings(database, statement_timeout_seconds=timeout_seconds)
        async with (
            await create_reader_pool(settings, max_size=4) as pool,
            await create_reader_pool(settings, max_size=2, purpose="tail") as tail_pool,
        ):
            questions = Questions(pool, tail_pool, timeout_seconds=timeout_seconds)
            await questions.server.start()
            following = asyncio.create_task(questions.follower.run())
            try:
                yield questions
            finally:
                questions.follower.close()
                await questions.client.close()
                await questions.server.stop()
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    return serve
