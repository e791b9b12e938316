"""What a request is called, in its answer, in the log and in its trace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from log_lines import LogLines, log_lines
from otlp_receiver import OtlpReceiver, only, traced

from logstreamd.api.application import HttpServer
from logstreamd.api.errors import errors_as_json
from logstreamd.api.request_context import in_context, name_request

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def log() -> Iterator[LogLines]:
    with log_lines() as lines:
        yield lines


class Handlers:
    """Resources that behave as a test needs it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def log(self, request: web.Request) -> web.Response:
        structlog.get_logger().info("inside")
        await asyncio.sleep(0)
        structlog.get_logger().info("inside")
        return web.Response()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        return response

    async def fail(self, request: web.Request) -> web.Response:
        raise ZeroDivisionError

    async def hang(self, request: web.Request) -> web.Response:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    servers = []

    async def start(handlers: Handlers) -> str:
        application = web.Application(middlewares=[in_context, errors_as_json])
        application.on_response_prepare.append(name_request)
        for name in ("log", "stream", "fail", "hang"):
            application.router.add_get(f"/{name}/{{id}}", getattr(handlers, name))
        server = HttpServer(application, host="127.0.0.1", port=0)
        await server.start()
        servers.append(server)
        return f"http://{server.endpoints[0]}"

    yield start
    for server in servers:
        await server.stop()


@pytest.mark.parametrize(
    "named",
    [
        "7f3a",
        "0d7a8f1e-5a4c-4b6e-9a0c-0f6f8d3f1b7e",
        "Root=1-67891233-abcdef012345678912345678",
        "a/b+c@d:e_f.g",
        "x" * 128,
    ],
)
async def test_an_id_that_the_client_has_is_the_requests_id(api: Any, log: LogLines, named: str) -> None:
    async with api.client.get(f"{api.url}/health", headers={"X-Request-Id": named}) as answer:
        assert answer.headers["X-Request-Id"] == named
    (line,) = log.about("request")
    assert line["request_id"] == named


@pytest.mark.parametrize("named", ["", "x" * 129, "two words", 'a"b', "<script>", "naïve", "a\tb", "%0a", "a;b"])
async def test_an_id_that_is_none_is_replaced(api: Any, log: LogLines, named: str) -> None:
    async with api.client.get(f"{api.url}/health", headers={"X-Request-Id": named}) as answer:
        made = answer.headers["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
    (line,) = log.about("request")
    assert line["request_id"] == made


async def test_every_request_has_an_id_of_its_own_whatever_the_answer(api: Any) -> None:
    ids = set()
    for path in ("/health", "/status", "/nowhere", "/api/v1/logs?limit=x"):
        async with api.client.get(api.url + path) as answer:
            ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 4


async def test_lines_of_a_request_have_its_id_and_no_others(serve: Any, log: LogLines, api: Any) -> None:
    url = await serve(Handlers())

    async def ask(number: int) -> None:
        async with api.client.get(f"{url}/log/{number}", headers={"X-Request-Id": f"r{number}"}):
            pass

    await asyncio.gather(*(ask(number) for number in range(5)))
    structlog.get_logger().info("inside")
    ids = sorted(str(line.get("request_id")) for line in log.about("inside"))
    assert ids == sorted([f"r{number}" for number in range(5)] * 2 + ["None"])


async def test_a_stream_has_an_id_as_well(serve: Any, api: Any) -> None:
    async with api.client.get(f"{await serve(Handlers())}/stream/1", headers={"X-Request-Id": "s1"}) as answer:
        assert answer.headers["X-Request-Id"] == "s1"


async def test_the_line_about_a_request_says_nothing_of_what_was_asked(serve: Any, log: LogLines, api: Any) -> None:
    url = await serve(Handlers())
    async with api.client.get(f"{url}/log/secret-path?token=secret-value", headers={"X-Secret": "secret-header"}):
        pass
    (line,) = log.about("request")
    assert line.pop("seconds") >= 0
    assert line.pop("timestamp")
    assert line.pop("request_id")
    assert line == {
        "event": "request",
        "level": "debug",
        "method": "GET",
        "route": "/log/{id}",
        "status": 200,
        "peer": "127.0.0.1",
    }


async def test_a_bug_is_found_by_the_id_of_its_request(serve: Any, log: LogLines, api: Any) -> None:
    async with api.client.get(f"{await serve(Handlers())}/fail/1", headers={"X-Request-Id": "bug-1"}) as answer:
        assert (answer.status, answer.headers["X-Request-Id"]) == (500, "bug-1")
    (line,) = log.about("request failed")
    assert line["request_id"] == "bug-1"
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"


async def test_a_client_that_goes_away_leaves_a_line_without_a_status(serve: Any, log: LogLines, api: Any) -> None:
    handlers = Handlers()
    url = await serve(handlers)
    asking = asyncio.create_task(api.client.get(f"{url}/hang/1"))
    await handlers.begun.wait()
    asking.cancel()
    async with asyncio.timeout(10):
        while not log.about("request"):
            await asyncio.sleep(0.01)
    assert log.about("request")[0]["status"] is None


async def test_a_request_is_a_span_of_its_clients_trace(serve: Any, log: LogLines, api: Any) -> None:
    url = await serve(Handlers())
    async with OtlpReceiver() as receiver:
        with traced(receiver.endpoint) as tracer:
            for path, method, headers in (
                ("/log/1?q=secret", "GET", {"traceparent": PARENT}),
                ("/fail/1", "GET", {}),
                ("/nowhere/secret", "PROPFIND", {}),
            ):
                async with api.client.request(method, url + path, headers=headers):
                    pass
            await tracer.stop(10)
    asked = only(receiver.spans, "GET /log/{id}")
    assert (asked.kind, asked.trace_id, asked.parent_id, asked.failed) == ("server", PARENT[3:35], PARENT[36:52], False)
    assert asked.attributes == {
        "http.request.method": "GET",
        "http.route": "/log/{id}",
        "http.response.status_code": 200,
    }
    failed = only(receiver.spans, "GET /fail/{id}")
    assert (failed.failed, failed.attributes["error.type"]) == (True, "500")
    lost = only(receiver.spans, "_OTHER unknown")
    assert (lost.failed, lost.attributes["http.response.status_code"]) == (False, 404)
    assert "secret" not in repr(receiver.spans)
    assert {line["trace_id"] for line in log.about("inside")} == {asked.trace_id}
    assert {line["span_id"] for line in log.about("inside")} == {asked.span_id}
