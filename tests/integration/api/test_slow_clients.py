"""Clients that are too slow lose their connection; those that are only slow do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from logstreamd.api.application import HttpServer
from logstreamd.api.slow_clients import HttpTimeouts

PATIENT = HttpTimeouts(read_seconds=60.0, write_seconds=60.0, keepalive_seconds=60.0)
FAR_TOO_LONG_SECONDS = 15.0
ANSWER_BYTES = 32 << 20  # more than all the buffers between two programs of one machine hold


class Server:
    """Answers on three paths, and counts who was cut."""

    def __init__(self, timeouts: HttpTimeouts) -> None:
        self.slow_heads = 0
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        application = web.Application()
        application.router.add_get("/short", self._short)
        application.router.add_get("/whole", self._whole)
        application.router.add_get("/stream", self._stream)
        self._server = HttpServer(
            application, host="127.0.0.1", port=0, timeouts=timeouts, on_slow_head=self._on_slow_head
        )
        self.start, self.stop = self._server.start, self._server.stop

    def _on_slow_head(self) -> None:
        self.slow_heads += 1

    async def _short(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _whole(self, request: web.Request) -> web.Response:
        self.begun.set()
        return web.Response(body=bytes(ANSWER_BYTES))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.begun.set()
        try:
            while True:
                await response.write(bytes(65_536))
        finally:
            self.ended.set()

    @property
    def connections(self) -> list[Any]:
        """Those that are open."""
        server = self._server._runner.server
        return [] if server is None else server.connections

    def connect(self) -> socket.socket:
        """Return a connection with small buffers of its own."""
        host, port = self._server.endpoints[0].split(":")
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(FAR_TOO_LONG_SECONDS)
        connection.connect((host, int(port)))
        return connection


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    servers = []

    async def start(**timeouts: float) -> Server:
        patient = {name: getattr(PATIENT, name) for name in ("read_seconds", "write_seconds", "keepalive_seconds")}
        server = Server(HttpTimeouts(**(patient | timeouts)))
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the server ends the connection, in whichever way."""
    answer = bytearray()
    try:
        while piece := connection.recv(65_536):
            answer += piece
    except ConnectionResetError:
        pass
    return bytes(answer)


@pytest.mark.parametrize("said", [b"", b"GET /sho", b"GET /short HTTP/1.1\r\nHost: x\r\nX-Slow: 1\r\n"])
async def test_a_head_that_does_not_come_is_waited_for_no_longer_than_configured(serve: Any, said: bytes) -> None:
    server = await serve(read_seconds=0.2)
    with server.connect() as connection:
        connection.sendall(said)
        assert await asyncio.to_thread(read_to_end, connection) == b""
    assert server.slow_heads == 1


async def test_a_head_that_comes_byte_by_byte_wins_no_time(serve: Any) -> None:
    server = await serve(read_seconds=0.2)
    with server.connect() as connection:

        def drip() -> None:
            try:
                for byte in b"GET /short HTTP/1.1\r\nX: " + b"y" * 10_000:
                    connection.sendall(bytes([byte]))
                    if server.slow_heads:
                        return
                    connection.settimeout(0.01)
                    try:
                        if connection.recv(1) == b"":
                            return
                    except TimeoutError:
                        continue
            except (BrokenPipeError, ConnectionResetError):
                return

        async with asyncio.timeout(FAR_TOO_LONG_SECONDS):
            await asyncio.to_thread(drip)
    assert server.slow_heads == 1


async def test_a_connection_over_which_a_request_came_is_kept_for_the_next_one(serve: Any) -> None:
    server = await serve(read_seconds=0.2)
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await asyncio.to_thread(connection.recv, 4_096)).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.5)  # more than two sweeps
    assert server.slow_heads == 0


@pytest.mark.parametrize("said", [b"", b"GET /short HTTP/1.1\r\nHost"])
async def test_the_next_request_is_waited_for_no_longer_than_configured(serve: Any, said: bytes) -> None:
    server = await serve(keepalive_seconds=0.2)
    with server.connect() as connection:
        connection.sendall(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await asyncio.to_thread(connection.recv, 4_096)).startswith(b"HTTP/1.1 200 ")
        connection.sendall(said)
        assert await asyncio.to_thread(read_to_end, connection) == b""
    assert server.slow_heads == 0


@pytest.mark.parametrize("path", ["/whole", "/stream"])
async def test_a_client_that_does_not_read_is_cut(serve: Any, path: str) -> None:
    server = await serve(write_seconds=0.3)
    with server.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(FAR_TOO_LONG_SECONDS):
            await server.begun.wait()
            while server.connections:
                await asyncio.sleep(0.05)
        assert path == "/whole" or server.ended.is_set()
        assert len(await asyncio.to_thread(read_to_end, connection)) < ANSWER_BYTES


async def test_a_client_that_reads_slowly_gets_everything_however_long_it_takes(serve: Any) -> None:
    server = await serve(write_seconds=2.0)
    with server.connect() as connection:
        connection.sendall(b"GET /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = 0
        started = asyncio.get_running_loop().time()
        while piece := await asyncio.to_thread(connection.recv, 1 << 20):
            received += len(piece)
            if asyncio.get_running_loop().time() - started < 2.5:
                await asyncio.sleep(0.1)  # slower than the timeout as a whole, never for so long at once
    assert received > ANSWER_BYTES
