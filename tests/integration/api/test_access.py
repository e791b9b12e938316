"""Who is let in: tokens and scopes, before a body is read, with rules that can be replaced at any time."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from logstreamd.api.access import Access
from logstreamd.api.application import build_application
from logstreamd.config import HttpConfig, ListenAddress
from logstreamd.config.tls import TlsConfig
from logstreamd.metrics import Metrics
from logstreamd.tokens import SCOPES, Token, TokenSet, digest_of

BODY = b'{"message": "x"}'
JSON = {"Content-Type": "application/json"}


def token(text: str, *scopes: str, name: str = "") -> Token:
    return Token(name or f"name-of-{text}", digest_of(text), frozenset(scopes))  # type: ignore[arg-type]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
async def guarded(start_api: Callable[..., Any]) -> Any:
    """A server with a token for each scope, named like it."""
    return await start_api(tokens=TokenSet(token(scope, scope) for scope in SCOPES))


async def ask(api: Any, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any], Any]:
    body = BODY if method == "POST" else None
    async with api.client.request(method, api.url + path, data=body, headers=JSON | headers) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else {}, answer.headers


def denied(api: Any) -> dict[str, float]:
    samples = [one for family in api.metrics.http_denied_requests.collect() for one in family.samples]
    return {one.labels["reason"]: one.value for one in samples if one.name.endswith("_total") and one.value}


async def test_without_a_token_the_answer_says_that_one_is_needed(guarded: Any) -> None:
    status, body, headers = await ask(guarded, "POST", "/api/v1/logs", {})
    assert (status, body["error"]["code"]) == (401, "token_required")
    assert headers["WWW-Authenticate"] == 'Bearer realm="logstreamd"'
    assert denied(guarded) == {"token_missing": 1}
    assert not guarded.spool.kept


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ingest extra",
        "ingest",
        "Digest username=ingest",
        "Basic !",
        "Basic " + b64encode(b"ingest").decode(),
        "Basic " + b64encode(b"ingest:x").decode(),
        "Basic " + b64encode(b"\xff:\xfe").decode(),
    ],
)
async def test_a_token_that_is_not_known_or_not_one_is_refused(guarded: Any, header: str) -> None:
    status, body, headers = await ask(guarded, "POST", "/api/v1/logs", {"Authorization": header})
    assert (status, body["error"]["code"]) == (401, "token_unknown")
    assert headers["WWW-Authenticate"] == 'Bearer realm="logstreamd", error="invalid_token"'
    assert denied(guarded) == {"token_unknown": 1}


async def test_a_token_without_the_scope_is_told_which_it_lacks(guarded: Any) -> None:
    status, body, headers = await ask(guarded, "POST", "/api/v1/logs", bearer("query"))
    assert (status, body["error"]["code"]) == (403, "scope_missing")
    assert body["error"]["message"] == "this token lacks the scope ingest"
    assert headers["WWW-Authenticate"] == 'Bearer realm="logstreamd", error="insufficient_scope", scope="ingest"'
    status, body, _ = await ask(guarded, "GET", "/status", bearer("metrics"))
    assert (status, body["error"]["message"]) == (403, "this token lacks the scope admin or query")
    assert denied(guarded) == {"scope_missing": 2}


@pytest.mark.parametrize(
    "header", ["Bearer ingest", "bearer  ingest ", "Basic " + b64encode(b"anybody:ingest").decode()]
)
async def test_the_right_token_lets_in(guarded: Any, header: str) -> None:
    status, body, _ = await ask(guarded, "POST", "/api/v1/logs", {"Authorization": header})
    assert (status, body["accepted"]) == (200, 1)
    assert denied(guarded) == {}


async def test_what_is_open_stays_open_whatever_is_brought(guarded: Any) -> None:
    for headers in ({}, bearer("wrong"), bearer("metrics")):
        assert (await ask(guarded, "GET", "/health", headers))[0] == 200
        assert (await ask(guarded, "GET", "/nowhere", headers))[0] == 404
        assert (await ask(guarded, "PUT", "/health", headers))[0] == 405
    assert denied(guarded) == {}


async def test_what_is_wrong_is_told_to_those_with_a_token_only(guarded: Any) -> None:
    guarded.problems.append("database: away")
    for headers in ({}, bearer("wrong")):
        assert (await ask(guarded, "GET", "/ready", headers))[:2] == (503, {"ready": False})
    status, body, _ = await ask(guarded, "GET", "/ready", bearer("metrics"))
    assert (status, body) == (503, {"ready": False, "problems": ["database: away"]})


async def exchange(api: Any, request: bytes, *, until: bytes = b"") -> bytes:
    """Send bytes and return what is answered, up to the end or to a text."""
    host, port = api.server.endpoints[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            return await reader.readuntil(until) if until else await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def head_of(length: int, *lines: str) -> bytes:
    fixed = ("POST /api/v1/logs HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join((*fixed, f"Content-Length: {length}", *lines, "", "")).encode()


async def test_a_body_is_neither_waited_for_nor_asked_for_before_the_check(guarded: Any) -> None:
    # Nothing of the body is ever sent, and the answer is there.
    answer = await exchange(guarded, head_of(1 << 19), until=b"}}")
    assert answer.startswith(b"HTTP/1.1 401 ")
    answer = await exchange(guarded, head_of(1 << 19, "Expect: 100-continue"), until=b"}}")
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_who_waits_with_the_body_is_asked_for_it_once_let_in(guarded: Any) -> None:
    head = head_of(len(BODY), "Expect: 100-continue", "Connection: close", "Authorization: Bearer ingest")
    assert (await exchange(guarded, head, until=b"\r\n\r\n")) == b"HTTP/1.1 100 Continue\r\n\r\n"
    answer = await exchange(guarded, head + BODY)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_another_expectation_is_refused_like_everything_else(guarded: Any) -> None:
    head = head_of(len(BODY), "Expect: wonders", "Connection: close", "Authorization: Bearer ingest")
    answer = await exchange(guarded, head + BODY)
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b'"code":"expectation_failed"' in answer


async def test_other_tokens_are_in_force_at_once(guarded: Any, start_api: Callable[..., Any]) -> None:
    guarded.access.apply(HttpConfig(), TokenSet([token("new", "ingest")]))
    assert (await ask(guarded, "POST", "/api/v1/logs", bearer("ingest")))[0] == 401
    assert (await ask(guarded, "POST", "/api/v1/logs", bearer("new")))[0] == 200
    guarded.access.apply(HttpConfig(), TokenSet())
    assert guarded.access.is_open
    assert (await ask(guarded, "POST", "/api/v1/logs", {}))[0] == 200


async def test_a_token_that_is_gone_ends_what_it_has_going_on_and_nothing_else(guarded: Any) -> None:
    host, port = guarded.server.endpoints[0].split(":")
    both = []
    for name in ("ingest", "other"):
        guarded.access.apply(HttpConfig(), TokenSet([token("ingest", "ingest"), token("other", "ingest")]))
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = ("Expect: 100-continue", f"Authorization: Bearer {name}")
        writer.write(head_of(len(BODY), *lines))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        both.append((reader, writer))
    guarded.access.apply(HttpConfig(), TokenSet([token("other", "ingest")]))
    (gone, first), (kept, second) = both
    async with asyncio.timeout(20):
        assert await gone.read() == b""
        second.write(BODY)
        assert (await kept.readline()) == b"HTTP/1.1 200 OK\r\n"
    for writer in (first, second):
        writer.close()
        await writer.wait_closed()


async def test_who_is_turned_away_is_in_the_log_and_the_token_is_not(guarded: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        await ask(guarded, "GET", "/api/v1/logs?q=private", bearer("hunter2"))
    (line,) = (line for line in logs if line["event"] == "request denied")
    assert (line["reason"], line["peer"], line["path"]) == ("token_unknown", "127.0.0.1", "/api/v1/logs")
    assert "hunter2" not in str(logs)
    assert "private" not in str(logs)


@pytest.mark.parametrize(
    ("listen", "tokens", "warned"), [("*", 0, True), ("192.0.2.1", 0, True), ("*", 1, False), ("127.0.0.7", 0, False)]
)
def test_an_open_address_without_tokens_is_warned_of_loudly(listen: str, tokens: int, warned: bool) -> None:
    http = HttpConfig(listen=ListenAddress(listen, 0))
    with structlog.testing.capture_logs() as logs:
        Access(http, TokenSet([token("x", "query")][:tokens]), Metrics(version="test", wire="python"))
    assert [line["event"].split(":")[0] for line in logs] == (
        ["EVERYBODY WHO CAN REACH THE HTTP PORT MAY READ AND WRITE LOGS"] if warned else []
    )


class Undecided:
    """A resource that nobody gave a permission."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/undecided", self.get)]

    async def get(self, _request: web.Request) -> web.Response:
        return web.Response()


def test_a_route_without_a_permission_is_not_served() -> None:
    metrics = Metrics(version="test", wire="python")
    access = Access(HttpConfig(), TokenSet(), metrics)
    with pytest.raises(LookupError, match="GET /undecided is not in the table of permissions"):
        build_application([Undecided()], access=access, metrics=metrics, max_body_bytes=1)


def test_where_every_client_shows_a_certificate_the_door_is_not_open() -> None:
    tls = TlsConfig(certificate=Path("/c.pem"), key=Path("/k.pem"), client_ca=Path("/ca.pem"))
    with structlog.testing.capture_logs() as logs:
        http = HttpConfig(listen=ListenAddress("*", 0), tls=tls)
        Access(http, TokenSet(), Metrics(version="test", wire="python"))
    assert logs == []


def test_a_reload_that_takes_the_last_token_away_is_warned_of_as_loudly() -> None:
    http = HttpConfig(listen=ListenAddress("*", 0))
    access = Access(http, TokenSet([token("x", "query")]), Metrics(version="test", wire="python"))
    with structlog.testing.capture_logs() as logs:
        access.apply(http, TokenSet())
    assert [line["log_level"] for line in logs] == ["warning"]
