"""A way to PostgreSQL that can be blocked: a TCP proxy that understands just enough of the protocol.

Source of the message layout: PostgreSQL manual, chapter "Frontend/Backend Protocol", section "Message Formats".
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Action", "Proxy", "is_commit", "is_copy_data"]

_READ_BYTES = 65_536


class Action(Enum):
    """What to do about a message of the client."""

    FORWARD = auto()
    CUT_BEFORE = auto()
    """End both connections; the server never sees the message."""
    CUT_AFTER = auto()
    """Let the server do it, and end both connections instead of passing on its answer."""
    SILENCE = auto()
    """Pass nothing on any more, in either direction, until the client closes its connection."""
    FREEZE = auto()
    """The same, and the server never learns that the client is gone: its backend becomes a zombie."""


Decide = Callable[[bytes, bytes], Action]


def is_commit(kind: bytes, body: bytes) -> bool:
    """Whether a message of the client is the end of a transaction that is to be kept."""
    return kind == b"Q" and body.startswith(b"COMMIT")


def is_copy_data(kind: bytes, _body: bytes) -> bool:
    """Whether a message of the client carries rows."""
    return kind == b"d"


class Proxy:
    """Listens on a TCP port and forwards to the socket of a server; runs in a thread of its own.

    Args:
        server: the server's Unix socket.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[_Link] = set()
        self.decide: Decide = lambda _kind, _body: Action.FORWARD
        """Asked about every message of every client, in the proxy's thread."""
        self.accepted = 0
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def dsn(self, database: str, user: str = "logstreamd", password: str = "") -> str:
        """Return the address of a database by way of the proxy."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def cut(self) -> None:
        """End every connection."""
        self._call(self._cut())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        for link in list(self._links):
            link.close()

    async def _close(self) -> None:
        self._listener.close()
        await self._cut()
        while self._links:
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(str(self._server))
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), (server_reader, server_writer))
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class _Link:
    """One client and its connection to the server."""

    def __init__(
        self,
        proxy: Proxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client_reader, self._client_writer = client
        self._server_reader, self._server_writer = server
        self._silent = False
        self._swallow = False
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Forward until one side ends, or until the link is closed."""
        ways = [asyncio.create_task(way) for way in (self._upstream(), self._downstream())]
        closed = asyncio.create_task(self._closed.wait())
        await asyncio.wait({*ways, closed}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ways, closed):
            task.cancel()
        await asyncio.wait({*ways, closed})
        for writer in (self._client_writer, self._server_writer):
            writer.transport.abort()

    def close(self) -> None:
        """End both connections."""
        self._closed.set()

    async def _upstream(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._pass(b"", await self._body())  # the start-up message has no kind
            while True:
                kind = await self._client_reader.readexactly(1)
                body = await self._body()
                action = self._proxy.decide(kind, body)
                if action is Action.CUT_BEFORE:
                    return
                if action in (Action.SILENCE, Action.FREEZE):
                    await self._fall_silent(action)
                    return
                self._swallow = action is Action.CUT_AFTER
                await self._pass(kind, body)

    async def _fall_silent(self, action: Action) -> None:
        self._silent = True
        while await self._client_reader.read(_READ_BYTES):
            pass
        if action is Action.FREEZE:
            await self._closed.wait()

    async def _body(self) -> bytes:
        length = int.from_bytes(await self._client_reader.readexactly(4))
        return await self._client_reader.readexactly(length - 4)

    async def _pass(self, kind: bytes, body: bytes) -> None:
        self._server_writer.write(kind + (len(body) + 4).to_bytes(4) + body)
        await self._server_writer.drain()

    async def _downstream(self) -> None:
        with suppress(ConnectionError):
            while data := await self._server_reader.read(_READ_BYTES):
                if self._silent:
                    await self._closed.wait()
                if self._swallow:
                    return
                self._client_writer.write(data)
                await self._client_writer.drain()
