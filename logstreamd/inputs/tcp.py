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
from collections import Counter
from collections.abc import Sequence

import structlog

from logstreamd.inputs.addresses import bind_sockets, endpoint
from logstreamd.inputs.admission import Admission
from logstreamd.inputs.connection import Connection, Hold, StreamLimits
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.sources import Source
from logstreamd.metrics import Metrics
from logstreamd.metrics.labels import CLOSE_REASONS

__all__ = ["SWEEP_SECONDS", "TcpInput"]

_log = structlog.get_logger(__name__)

_READ_BYTES = 256 * 1024  # one read; large enough that a fast sender costs few turns of the event loop
# One read of a sender with limits: it is charged afterwards, so what it reads too much is what it waits for then.
_LIMITED_READ_BYTES = 16 * 1024
SWEEP_SECONDS = 1.0
"""Between two looks at who has been slow for too long; a look at 10,000 connections takes some milliseconds."""
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
        metrics: counted per connection.
        admission: who may send, and how much.
        host: what to bind, see :func:`~logstreamd.inputs.addresses.bind_sockets`.
        port: the same.
        limits: how much is served.
        sweep_seconds: how often it is looked who has been slow for too long.

    Attributes:
        admission: who may send, and how much.
        limits: those in force.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        metrics: Metrics,
        admission: Admission,
        *,
        host: str,
        port: int,
        limits: StreamLimits,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self.gatherer = gatherer
        gatherer.on_congestion = self.on_congestion
        self.name = gatherer.name
        self.metrics = metrics
        self.admission = admission
        self.limits = limits
        self._host = host
        self._port = port
        self._sweep_seconds = sweep_seconds
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._connections: set[Connection] = set()
        self._connections_of: Counter[str] = Counter()
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._endpoints: list[str] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._stopping = False
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

    @property
    def read_buffer(self) -> memoryview:
        """What the next read goes to."""
        return self._buffer[:_LIMITED_READ_BYTES] if self.admission.limited else self._buffer

    def source_of(self, address: str) -> Source | None:
        """Return what a sender may still send; None while it may send anything."""
        return None if self._stopping else self.admission.source(address)

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
            self._servers.append(await loop.create_server(self._new_connection, sock=sock, backlog=_BACKLOG))
        self._sweep = loop.call_later(self._sweep_seconds, self._close_overdue)

    def _new_connection(self) -> Connection:
        return Connection(self)

    def apply(self, limits: StreamLimits) -> None:
        """Take new limits, after :attr:`admission` took its own; open connections stay, if their senders may send."""
        self.limits = limits
        for connection in list(self._connections):
            if not self.admission.allows(connection.address):
                connection.close("not_allowed")
            else:
                connection.forgive()  # who is still over the limit finds out at the next read

    def opened(self, connection: Connection) -> bool:
        """Take note of a new connection.

        Returns:
            False when it must not be served: its sender is not allowed to, or there are enough.
        """
        refusal = self._refusal(connection.address)
        if refusal is not None:
            _log.warning("connection refused", input=self.name, peer=connection.address, reason=refusal)
            return False
        self.metrics.accepted_connections.labels(self.name).inc()
        self._connections.add(connection)
        self._connections_of[connection.address] += 1
        self._all_closed.clear()
        # A turn later: uvloop starts to read after the protocol has been told of the connection.
        asyncio.get_running_loop().call_soon(self._pause_when_congested, connection)
        return True

    def _refusal(self, address: str) -> str | None:
        """Return why a connection from an address must not be served, None when it may."""
        if not self.admission.admits(address):
            return "the address is not in allow"
        limits = self.limits
        if len(self._connections) >= limits.max_connections:
            refusal = f"max_connections ({limits.max_connections}) are open"
        elif 0 < limits.max_connections_per_peer <= self._connections_of[address]:
            refusal = f"max_connections_per_peer ({limits.max_connections_per_peer}) are open"
        else:
            return None
        self.metrics.rejected_connections.labels(self.name).inc()
        return refusal

    def _pause_when_congested(self, connection: Connection) -> None:
        if self.gatherer.congested:
            connection.hold(Hold.CONGESTED)

    def found_tls(self, connection: Connection) -> None:
        """Take note of a connection that begins with a TLS handshake."""
        _log.warning(
            "a TLS client speaks to a plain port: nothing of it is stored; let it use an input of type tls",
            input=self.name,
            peer=connection.address,
        )

    def closed(self, connection: Connection, reason: str) -> None:
        """Take note of the end of a connection."""
        self._connections.discard(connection)
        self._connections_of[connection.address] -= 1
        if not self._connections_of[connection.address]:
            del self._connections_of[connection.address]
        if not self._connections:
            self._all_closed.set()
        self.metrics.closed_connections.labels(self.name, reason).inc()

    def on_congestion(self, congested: bool) -> None:
        """Stop reading, or read on: what is gathered waits for the spool."""
        for connection in list(self._connections):
            if congested:
                connection.hold(Hold.CONGESTED)
            else:
                connection.release(Hold.CONGESTED)

    def _close_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._sweep_seconds, self._close_overdue)
        now = loop.time()
        for connection in list(self._connections):
            connection.close_if_overdue(now, self.limits)

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
        for connection in list(self._connections):  # a peer that does not read our farewell
            connection.abort()
        await self._all_closed.wait()

    async def _read_out(self) -> None:
        """Give senders the time to be read, and to see that they should go elsewhere; who never pauses is cut off.

        What a sender over its limit has sent is in the kernel, and would be lost there. So would be what is there
        because the spool is busy, which mostly is a matter of milliseconds.
        """
        self._stopping = True
        for connection in list(self._connections):
            connection.forgive()
            connection.take_leave()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLOSE_SECONDS
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(_QUIET_SECONDS)
            quiet_since = loop.time() - _QUIET_SECONDS
            if not self.gatherer.congested and all(one.heard_at < quiet_since for one in self._connections):
                return
