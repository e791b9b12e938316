from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from certificates import LONG_AGO, Authority, Files
from structlog.testing import capture_logs

from logstreamd.api.access import Access
from logstreamd.api.application import HttpServer, build_application
from logstreamd.config import HttpConfig
from logstreamd.metrics import Metrics
from logstreamd.tls import ServerTls, load_server_tls
from logstreamd.tokens import TokenSet


class Health:
    async def answer(self, request: web.Request) -> web.Response:
        return web.json_response({"scheme": request.scheme})

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health", self.answer)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("https"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> Files:
    return authority.issue("localhost", "127.0.0.1")


async def serve(tls: ServerTls, on_tls_failure: Callable[[str], None] = lambda _: None) -> HttpServer:
    metrics = Metrics(version="test", wire="python")
    application = build_application(
        [Health()], access=Access(HttpConfig(), TokenSet(), metrics), metrics=metrics, max_body_bytes=1024
    )
    server = HttpServer(application, host="127.0.0.1", port=0, tls=tls, on_tls_failure=on_tls_failure)
    await server.start()
    return server


@pytest.fixture
async def mutual(authority: Authority, files: Files) -> AsyncIterator[HttpServer]:
    settings = replace(files, client_ca=authority.file, permitted_peers=("*.example.org",))
    server = await serve(load_server_tls(settings))
    yield server
    await server.stop()


async def ask(server: HttpServer, trust: ssl.SSLContext) -> object:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/health", ssl=trust) as answer:
        return await answer.json()


async def test_it_answers_over_tls_and_not_without(authority: Authority, files: Files) -> None:
    server = await serve(load_server_tls(files))
    assert server.url.startswith("https://127.0.0.1:")
    assert await ask(server, authority.client()) == {"scheme": "https"}
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(server.url.replace("https", "http"))
    await server.stop()


async def test_a_permitted_certificate_is_let_in_and_no_other(authority: Authority, mutual: HttpServer) -> None:
    assert await ask(mutual, authority.client(authority.issue("ci.example.org")))
    for shown in (None, authority.issue("ci.example.net")):
        with pytest.raises(aiohttp.ClientError):
            await ask(mutual, authority.client(shown))


async def test_who_is_not_let_in_is_counted_and_told_with_the_reason(authority: Authority, files: Files) -> None:
    reasons: list[str] = []
    settings = replace(files, client_ca=authority.file, permitted_peers=("*.example.org",))
    server = await serve(load_server_tls(settings), reasons.append)
    shown = [None, authority.issue("ci.example.org", **LONG_AGO), authority.issue("ci.example.net")]
    with capture_logs() as lines:
        for one in shown:
            with pytest.raises(aiohttp.ClientError):
                await ask(server, authority.client(one))
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(server.url.replace("https", "http"))
    await server.stop()
    once = list(dict.fromkeys(reasons))  # the client tries again
    assert once == ["no_certificate", "expired", "not_permitted", "plain_text"]
    assert [line["event"] for line in lines] == ["TLS connection closed"] * len(reasons)
    assert any("ci.example.net" in line["reason"] for line in lines)


async def test_a_new_certificate_is_for_new_connections(authority: Authority, files: Files, tmp_path: Path) -> None:
    server = await serve(load_server_tls(files))
    successor = Authority(tmp_path, "successor")
    trust = authority.client()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/health", ssl=trust) as answer:
            assert answer.status == 200
        where = server.url
        await server.apply_tls(load_server_tls(successor.issue("127.0.0.1")), 10.0)
        assert server.url == where
        async with session.get(f"{server.url}/health", ssl=trust) as answer:  # kept alive
            assert answer.status == 200
    assert await ask(server, successor.client()) == {"scheme": "https"}
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await ask(server, authority.client())
    await server.stop()
