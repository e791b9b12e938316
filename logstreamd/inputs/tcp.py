"""Syslog and JSON over TCP, octet-counted or line by line. Source: RFC 6587.

A connection is a :class:`~logstreamd.wire.framing.Framer` (or its compiled twin) fed from one read buffer that all
connections of the input share (the event loop fills it and hands it over before it reads again), so an idle connection
costs a few hundred bytes and a peer can announce whatever it likes.

When the spool has no room the input stops reading: the kernel's buffers fill and the senders wait. Nothing that was
read is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence
from typing import cast

import structlog

from logstreamd.inputs.addresses import bind_sockets, endpoint, peer_address
from logstreamd.inputs.gather import Gatherer
from logstreamd.metric_labels import CLOSE_REASONS
from logstreamd.metrics import Metrics
from logstreamd.wire.implementation import Framer

__all__ = ["TcpInput"]

_log = structlog.get_logger(__name__)

_READ_BYTES = 256 * 1024  # one read; large enough that a fast sender costs few turns of the event loop
_SWEEP_SECONDS = 1.0
_QUIET_SECONDS = 0.1
_CLOSE_SECONDS = 1.0
_BACKLOG = 1_024
# A connection the kernel has completed may hold messages of a sender that is long done: what waits in the backlog is
# accepted before the door is shut. asyncio needs four turns from the kernel's word to a connection, uvloop fewer.
_ACCEPT_TURNS = 5


class TcpInput:
    """Accepts connections on one address.

    Args:
        gatherer: takes the frames, and says through :meth:`on_congestion` when to stop reading.
        host: what to bind, see :func:`~logstreamd.inputs.addresses.bind_sockets`.
        port: the same.
        max_frame_bytes: longer messages are cut and marked.
        max_connections: beyond this a new connection is closed at once and counted.
        idle_timeout_seconds: a connection that says nothing for so long is closed; 0 for never.
        frame_deadline_seconds: from the first byte of a message to its last.
        sweep_seconds: how often the two are looked at.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        metrics: Metrics,
        *,
        host: str,
        port: int,
        max_frame_bytes: int,
        max_connections: int,
        idle_timeout_seconds: float,
        frame_deadline_seconds: float,
        sweep_seconds: float = _SWEEP_SECONDS,
    ) -> None:
        self.gatherer = gatherer
        gatherer.on_congestion = self.on_congestion
        self.name = gatherer.name
        self.metrics = metrics
        self._host = host
        self._port = port
        self.max_frame_bytes = max_frame_bytes
        self._max_connections = max_connections
        self._idle_timeout_seconds = idle_timeout_seconds
        self._frame_deadline_seconds = frame_deadline_seconds
        self._sweep_seconds = sweep_seconds
        self.buffer = bytearray(_READ_BYTES)
        self._connections: set[_Connection] = set()
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._endpoints: list[str] = []
        self._sweep: asyncio.TimerHandle | None = None
        metrics.connections.labels(self.name).set_function(lambda: len(self._connections))
        for reason in CLOSE_REASONS:
            metrics.closed_connections.labels(self.name, reason)
        metrics.accepted_connections.labels(self.name)
        metrics.rejected_connections.labels(self.name)

    @property
    def congested(self) -> bool:
        """Whether it waits for the spool."""
        return self.gatherer.congested

    @property
    def endpoints(self) -> list[str]:
        """Where it listens."""
        return self._endpoints

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """Where it accepts."""
        return self._sockets

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Start to accept.

        Args:
            sockets: bound already, and given over to this input; none: it binds its address itself.

        Raises:
            OSError: an address can't be bound; never with sockets that listen already.
        """
        loop = asyncio.get_running_loop()
        self._sockets = list(sockets) or await bind_sockets(self._host, self._port, socket.SOCK_STREAM)
        for sock in self._sockets:
            self._endpoints.append(endpoint(sock))
            self._servers.append(await loop.create_server(lambda: _Connection(self), sock=sock, backlog=_BACKLOG))
        self._sweep = loop.call_later(self._sweep_seconds, self._close_overdue)

    def apply(
        self,
        *,
        max_frame_bytes: int,
        max_connections: int,
        idle_timeout_seconds: float,
        frame_deadline_seconds: float,
    ) -> None:
        """Take other settings; connections that are open stay open, and keep their ``max_frame_bytes``."""
        self.max_frame_bytes = max_frame_bytes
        self._max_connections = max_connections
        self._idle_timeout_seconds = idle_timeout_seconds
        self._frame_deadline_seconds = frame_deadline_seconds

    def opened(self, connection: _Connection) -> bool:
        """Take note of a new connection.

        Returns:
            False when it must not be served because there are enough.
        """
        if len(self._connections) >= self._max_connections:
            self.metrics.rejected_connections.labels(self.name).inc()
            _log.warning("connection refused", input=self.name, peer=connection.peer, limit=self._max_connections)
            return False
        self.metrics.accepted_connections.labels(self.name).inc()
        self._connections.add(connection)
        self._all_closed.clear()
        # A turn later: uvloop starts to read after the protocol has been told of the connection.
        asyncio.get_running_loop().call_soon(self._pause_when_congested, connection)
        return True

    def _pause_when_congested(self, connection: _Connection) -> None:
        if self.gatherer.congested:
            connection.pause()

    def closed(self, connection: _Connection, reason: str) -> None:
        """Take note of the end of a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_closed.set()
        self.metrics.closed_connections.labels(self.name, reason).inc()

    def on_congestion(self, congested: bool) -> None:
        """Stop reading, or read on: what is gathered waits for the spool."""
        for connection in list(self._connections):
            if congested:
                connection.pause()
            else:
                connection.resume()

    def _close_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._sweep_seconds, self._close_overdue)
        if self.gatherer.congested:  # it is we who don't read
            return
        now = loop.time()
        for connection in list(self._connections):
            if connection.frame_since is not None and now - connection.frame_since > self._frame_deadline_seconds:
                connection.close("deadline")
            elif self._idle_timeout_seconds and now - connection.heard_at > self._idle_timeout_seconds:
                connection.close("idle")

    async def stop(self) -> None:
        """Stop accepting, read what has arrived, close every connection and keep what was half received."""
        if self._sweep is not None:
            self._sweep.cancel()
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        await self._read_out()
        for connection in list(self._connections):
            connection.close("shutdown")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_closed.wait(), _CLOSE_SECONDS)

    async def _read_out(self) -> None:
        """Give senders that just finished the time to be read; one that never pauses is cut off."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLOSE_SECONDS
        while self._connections and not self.gatherer.congested and loop.time() < deadline:
            await asyncio.sleep(_QUIET_SECONDS)
            quiet_since = loop.time() - _QUIET_SECONDS
            if all(connection.heard_at < quiet_since for connection in self._connections):
                return


class _Connection(asyncio.BufferedProtocol):
    """One connection: bytes in, frames out."""

    def __init__(self, owner: TcpInput) -> None:
        self._owner = owner
        self._framer = Framer(max_frame_bytes=owner.max_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self._close_reason = "peer"
        self._served = False
        self.peer = ""
        self.heard_at = 0.0
        self.frame_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its base class
        peername = transport.get_extra_info("peername")
        self.peer = peer_address(peername[0]) if peername else ""
        self.heard_at = asyncio.get_running_loop().time()
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._served = self._owner.opened(self)
        if not self._served:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._owner.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._served:
            return
        gatherer = self._owner.gatherer
        received_at = time.time_ns() // 1_000
        data = memoryview(self._owner.buffer)[:nbytes]
        completed = 0
        while data:
            batch = gatherer.batch
            before = len(batch)
            consumed = self._framer.split(data, batch, batch.peer_id(self.peer), received_at)
            completed += len(batch) - before
            gatherer.added(consumed)
            data = data[consumed:]
        self._note_time(completed)

    def _note_time(self, completed: int) -> None:
        now = asyncio.get_running_loop().time()
        self.heard_at = now
        if not self._framer.mid_frame:
            self.frame_since = None
        elif self.frame_since is None or completed:  # a fast sender is always inside a frame, never in the same
            self.frame_since = now

    def eof_received(self) -> bool:
        return False  # close our side too

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._served:
            return
        gatherer = self._owner.gatherer
        batch = gatherer.batch
        self._framer.finish(batch, batch.peer_id(self.peer), time.time_ns() // 1_000)
        gatherer.added(0)
        self._owner.closed(self, self._close_reason)

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on; the time spent waiting for us counts for no deadline."""
        if self._transport is not None and not self._transport.is_closing():
            now = asyncio.get_running_loop().time()
            self.heard_at = now
            self.frame_since = now if self._framer.mid_frame else None
            self._transport.resume_reading()

    def close(self, reason: str) -> None:
        """End the connection; what was half received is kept when it is gone."""
        self._close_reason = reason
        if self._transport is not None:
            self._transport.close()
