from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from logstreamd.api.application import HttpServer
from logstreamd.api.connections import CappedConnections
from logstreamd.metrics import Metrics

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Server:
    """Answers everybody who gets in."""

    def __init__(self, *, max_connections: int, max_per_peer: int) -> None:
        self.metrics = Metrics(version="test", wire="python")
        application = web.Application()
        application.router.add_get("/", self._answer)
        caps = CappedConnections(self.metrics, max_connections=max_connections, max_per_peer=max_per_peer)
        self._server = HttpServer(application, host="127.0.0.1", port=0, caps=caps)
        self.start, self.stop = self._server.start, self._server.stop

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text="in")

    async def connect(self, address: str = "127.0.0.1") -> tuple[socket.socket, bool]:
        """Connect and ask; returns the connection and whether it was answered."""
        host, port = self._server.endpoints[0].split(":")
        connection = socket.create_connection((host, int(port)), timeout=20, source_address=(address, 0))
        return connection, await asyncio.to_thread(self.ask, connection)

    @staticmethod
    def ask(connection: socket.socket) -> bool:
        try:
            connection.sendall(REQUEST)
            return connection.recv(4_096).endswith(b"in")
        except ConnectionError:
            return False

    async def open(self, count: int) -> None:
        """Wait until so many connections are open."""
        while self.count("connections") != count:
            await asyncio.sleep(0.001)

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"logstreamd_{name}", {"input": "http"})


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    servers = []

    async def start(max_connections: int, max_per_peer: int = 0) -> Server:
        server = Server(max_connections=max_connections, max_per_peer=max_per_peer)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


async def test_connections_beyond_the_limit_are_closed_and_the_others_stay(serve: Callable[..., Any]) -> None:
    server = await serve(2)
    with capture_logs() as lines:
        clients = [await server.connect() for _ in range(4)]
    assert [answered for _, answered in clients] == [True, True, False, False]
    assert await asyncio.to_thread(server.ask, clients[0][0])
    assert [line["reason"] for line in lines] == ["http.max_connections (2) are open"] * 2
    assert server.count("accepted_connections_total") == server.count("rejected_connections_total") == 2
    for connection, _ in clients:
        connection.close()


async def test_a_place_that_is_given_back_is_given_out_again(serve: Callable[..., Any]) -> None:
    server = await serve(1)
    for _ in range(3):
        connection, answered = await server.connect()
        assert answered
        connection.close()
        await server.open(0)


async def test_an_address_with_all_its_connections_keeps_nobody_else_out(serve: Callable[..., Any]) -> None:
    server = await serve(10, max_per_peer=1)
    addresses = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"]
    clients = [await server.connect(address) for address in addresses]
    assert [answered for _, answered in clients] == [True, False, True, False]
    for connection, _ in clients:
        connection.close()
    await server.open(0)
    connection, answered = await server.connect()
    assert answered
    connection.close()
