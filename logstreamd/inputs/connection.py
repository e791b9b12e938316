"""One connection of a stream input: bytes in, frames out.

It reads while nothing speaks against it. What can is a :class:`Hold`: the spool has no room, or the sender has used up
what it may send. A held connection is not overdue, and nothing that was read is dropped; the sender waits.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from enum import IntFlag
from typing import Protocol, cast

from logstreamd.inputs.addresses import peer_address
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.sources import Source
from logstreamd.wire.batch import PARTIAL
from logstreamd.wire.implementation import Framer

__all__ = ["Connection", "ConnectionOwner", "Hold", "StreamLimits"]

# Every TLS connection begins with a record of type handshake, version 3.x (RFC 8446 section 5.1); no message does.
_TLS_HANDSHAKE = b"\x16\x03"


class Hold(IntFlag):
    """Why a connection is not read."""

    CONGESTED = 1
    """What was read waits for the spool."""
    OVER_LIMIT = 2
    """Its sender is over its limit."""
    QUEUED = 4
    """It waits for its turn to shake hands."""
    UNREAD = 8
    """The peer asks for answers and does not read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What one input serves; it may change while connections are open.

    Attributes:
        max_frame_bytes: longer messages are cut and marked, on connections that begin from then on.
        max_connections: beyond this a new connection is closed at once and counted.
        max_connections_per_peer: the same for each address; 0 for no such limit.
        idle_timeout_seconds: a connection that says nothing for so long is closed; 0 for never.
        frame_deadline_seconds: from the first byte of a message to its last.
    """

    max_frame_bytes: int
    max_connections: int
    max_connections_per_peer: int = 0
    idle_timeout_seconds: float
    frame_deadline_seconds: float


class ConnectionOwner(Protocol):
    """The input, as its connections see it."""

    gatherer: Gatherer
    limits: StreamLimits

    @property
    def read_buffer(self) -> memoryview:
        """What all connections read into: the event loop fills it and hands it over before it reads again."""

    def source_of(self, address: str) -> Source | None:
        """Return what a sender may still send; None while it may send anything."""

    def opened(self, connection: Connection) -> bool:
        """Take note of a new connection; False when it must not be served."""

    def closed(self, connection: Connection, reason: str) -> None:
        """Take note of the end of a connection that was served."""

    def found_tls(self, connection: Connection) -> None:
        """Take note of a connection that speaks TLS where it must not."""


class Connection(asyncio.BufferedProtocol):
    """One connection.

    Attributes:
        address: the sender's address.
        peer: the sender as an entry of a batch's ``peers``.
        heard_at: when something came last, by the event loop's clock.
        frame_since: when the message that is not complete yet began.
        holds: why it is not read, if it is not.
    """

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._framer = Framer(max_frame_bytes=owner.limits.max_frame_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._close_reason = "peer"
        self._served = False
        self._head: bytes | None = b""  # what came, until that tells TLS from messages
        self._debt_timer: asyncio.TimerHandle | None = None
        self.address = ""
        self.peer = ""
        self.heard_at = 0.0
        self.frame_since: float | None = None
        self.holds = Hold(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its base class
        peername = transport.get_extra_info("peername")
        self.address = self.peer = peer_address(peername[0]) if peername else ""
        self.heard_at = self._loop.time()
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._served = self._owner.opened(self)
        if not self._served:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """See :class:`asyncio.BufferedProtocol`."""
        return self._owner.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See :class:`asyncio.BufferedProtocol`."""
        if not self._served:
            return
        data = self._owner.read_buffer[:nbytes]
        if self._head is None:
            self._take(data)
        else:
            self._take_first(self._head + bytes(data))

    def _take_first(self, data: bytes) -> None:
        """Look at what a connection begins with: messages, or a handshake that belongs elsewhere."""
        if data == _TLS_HANDSHAKE[:1]:
            self._head = data  # the next byte tells
            return
        self._head = None
        if data.startswith(_TLS_HANDSHAKE):
            self._owner.found_tls(self)
            self.close("tls_on_plain_port")
        else:
            self._take(memoryview(data))

    def _take(self, data: memoryview) -> None:
        """Cut what was read into frames, and gather them."""
        gatherer = self._owner.gatherer
        received_at = time.time_ns() // 1_000
        read_bytes = len(data)
        completed = 0
        while data:
            batch = gatherer.batch
            before = len(batch)
            consumed = self._framer.split(data, batch, batch.peer_id(self.peer), received_at)
            completed += len(batch) - before
            gatherer.added(consumed)
            data = data[consumed:]
        self._note_time(completed)
        self._charge(completed, read_bytes)

    def _note_time(self, completed: int) -> None:
        now = self._loop.time()
        self.heard_at = now
        if not self._framer.mid_frame:
            self.frame_since = None
        elif self.frame_since is None or completed:  # a fast sender is always inside a frame, never in the same
            self.frame_since = now

    def _charge(self, records: int, read_bytes: int) -> None:
        """Stop reading until the sender may send again; other connections of it may have run up a debt meanwhile."""
        self._debt_timer = None
        source = self._owner.source_of(self.address)
        owed_seconds = source.owed_seconds(records, read_bytes) if source is not None else 0.0
        if owed_seconds > 0.0:
            self.hold(Hold.OVER_LIMIT)
            self._debt_timer = self._loop.call_later(owed_seconds, self._charge, 0, 0)
        else:
            self.release(Hold.OVER_LIMIT)

    def forgive(self) -> None:
        """Read on whatever the sender owes: the limits have changed, or it is time to go."""
        if self._debt_timer is not None:
            self._debt_timer.cancel()
            self._debt_timer = None
        self.release(Hold.OVER_LIMIT)

    def eof_received(self) -> bool:
        """See :class:`asyncio.BufferedProtocol`."""
        return False  # close our side too

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        if not self._served:
            return
        if self._debt_timer is not None:
            self._debt_timer.cancel()
        if self._head:  # a single byte that could have been the first of a handshake
            self._take(memoryview(self._head))
        self._keep_rest(cut=exc is not None or self._close_reason != "peer")
        self._owner.closed(self, self._close_reason)

    def _keep_rest(self, *, cut: bool) -> None:
        """Keep what has no end; a line is whole only if its sender closed the connection in order."""
        gatherer = self._owner.gatherer
        batch = gatherer.batch
        before = len(batch)
        self._framer.finish(batch, batch.peer_id(self.peer), time.time_ns() // 1_000)
        if cut and len(batch) > before:
            batch.flags[-1] |= PARTIAL
        gatherer.added(0)

    def hold(self, why: Hold) -> None:
        """Stop reading."""
        if not self.holds and not self._transport.is_closing():
            self._transport.pause_reading()
        self.holds |= why

    def release(self, why: Hold) -> None:
        """Read on if nothing else speaks against it; the time spent waiting for us counts for no deadline."""
        if not self.holds & why:
            return
        self.holds &= ~why
        if not self.holds and not self._transport.is_closing():
            now = self._loop.time()
            self.heard_at = now
            self.frame_since = now if self._framer.mid_frame else None
            self._transport.resume_reading()

    def close_if_overdue(self, now: float, limits: StreamLimits) -> None:
        """Close the connection when its sender has been slow for too long, to listen as well as to speak."""
        if self._transport.is_closing():
            self._transport.abort()  # what it should still hear has waited since the last look
            return
        if self.holds & ~Hold.UNREAD:  # it is we who don't read
            return
        if self.frame_since is not None and now - self.frame_since > limits.frame_deadline_seconds:
            self.close("deadline")
        elif limits.idle_timeout_seconds and now - self.heard_at > limits.idle_timeout_seconds:
            self.close("idle")

    def take_leave(self) -> None:
        """Let the sender see that it should go elsewhere; what it has sent, and still sends, is read.

        One that looks before it sends (rsyslog does, at TCP, whatever is inside) closes now and loses nothing.
        """
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self, reason: str) -> None:
        """End the connection; what was half received is kept when it is gone."""
        self._close_reason = reason
        self._transport.close()

    def abort(self) -> None:
        """End it now, whatever the peer has not read."""
        self._transport.abort()
