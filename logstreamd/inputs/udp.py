"""Syslog and JSON over UDP: one datagram is one message. Source: RFC 5426.

The sender of a datagram can't be told to wait. What the daemon can do is to read fast, ask the kernel for a large
buffer, and say honestly what was lost: datagrams the kernel dropped are read from its own count per socket
(:mod:`logstreamd.inputs.kernel_drops`), datagrams dropped here are counted with the reason.

All senders share the kernel's buffer. So who sends too much is read as fast as everybody else, and cut here: left
unread, it would push out the others.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence

import structlog

from logstreamd.inputs.addresses import bind_sockets, endpoint
from logstreamd.inputs.admission import Admission
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.kernel_drops import kernel_drops
from logstreamd.inputs.losses import Losses
from logstreamd.inputs.receiving import receive_datagrams
from logstreamd.metrics import Metrics

__all__ = ["UdpInput"]

_log = structlog.get_logger(__name__)

# One turn of the event loop reads at most this many datagrams: 0.7 ms compiled, 2 ms without.
_DATAGRAMS_PER_TURN = 1_000
_LAST_READ_SECONDS = 0.5  # a flood that does not end must not keep the daemon from stopping
_SO_RCVBUFFORCE = 33  # linux/asm-generic/socket.h; the socket module does not name it


class UdpInput:
    """Reads datagrams from one address.

    Args:
        gatherer: takes the frames; created with ``drop_when_full``.
        metrics: told what the kernel grants, and what it drops.
        admission: who may send, and how much.
        host: what to bind, see :func:`~logstreamd.inputs.addresses.bind_sockets`.
        port: the same.
        max_frame_bytes: longer messages are cut and marked.
        receive_buffer_bytes: what to ask the kernel for.

    Attributes:
        admission: who may send, and how much.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        metrics: Metrics,
        admission: Admission,
        *,
        host: str,
        port: int,
        max_frame_bytes: int,
        receive_buffer_bytes: int,
    ) -> None:
        self.gatherer = gatherer
        self.name = gatherer.name
        self.admission = admission
        self._metrics = metrics
        self._host = host
        self._port = port
        self._max_frame_bytes = max_frame_bytes
        self._receive_buffer_bytes = receive_buffer_bytes
        self._sockets: list[socket.socket] = []
        self._kernel_drops: dict[int, int] = {}
        self._losses = Losses(self.name, "the kernel's receive buffer was full")

    @property
    def congested(self) -> bool:
        """Whether it waits for the spool."""
        return self.gatherer.congested

    @property
    def endpoints(self) -> list[str]:
        """Where it listens."""
        return [endpoint(sock) for sock in self._sockets]

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """What it reads from."""
        return self._sockets

    def apply(self, *, max_frame_bytes: int, receive_buffer_bytes: int) -> None:
        """Take other settings; nothing is closed, and nothing lost."""
        self._max_frame_bytes = max_frame_bytes
        if receive_buffer_bytes != self._receive_buffer_bytes:
            self._receive_buffer_bytes = receive_buffer_bytes
            for sock in self._sockets:
                self._grow_buffer(sock)

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Start to read.

        Args:
            sockets: bound already, and given over to this input; none: it binds its address itself.

        Raises:
            OSError: an address can't be bound; never with sockets that are bound.
        """
        self._sockets = list(sockets) or await bind_sockets(self._host, self._port, socket.SOCK_DGRAM)
        # Another input, or an earlier run of the daemon, may have had them, and counted.
        self._kernel_drops = kernel_drops({_inode(sock) for sock in self._sockets})
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._grow_buffer(sock)
            loop.add_reader(sock.fileno(), self._on_readable, sock)

    def _grow_buffer(self, sock: socket.socket) -> None:
        """Ask for the configured buffer, past the system's limit where the privilege is there."""
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, self._receive_buffer_bytes)
        except PermissionError:
            # Never below what it has: whoever opened an inherited socket may have had the privilege.
            with socket.socket(sock.family, sock.type) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
                allowed = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            if allowed > sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        # The kernel doubles the number for its own bookkeeping; socket(7).
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        self._metrics.receive_buffer_bytes.labels(self.name).set(granted)
        if granted < self._receive_buffer_bytes:
            _log.warning(
                "small receive buffer: bursts may be lost in the kernel",
                input=self.name,
                granted_bytes=granted,
                wanted_bytes=self._receive_buffer_bytes,
                advice=f"sysctl -w net.core.rmem_max={self._receive_buffer_bytes}, or grant CAP_NET_ADMIN",
            )
        else:
            _log.info("receive buffer", input=self.name, granted_bytes=granted)

    def _on_readable(self, sock: socket.socket) -> bool:
        """Read one turn's worth of datagrams; True when none is left."""
        remaining = _DATAGRAMS_PER_TURN
        admission = self.admission if self.admission.restricts else None
        while remaining > 0:
            batch = self.gatherer.batch
            before = len(batch)
            received_bytes, dry = receive_datagrams(
                sock,
                batch,
                max_frame_bytes=self._max_frame_bytes,
                received_at=time.time_ns() // 1_000,
                limit=remaining,
                admission=admission,
            )
            remaining -= len(batch) - before
            if admission is not None:
                remaining -= admission.take_dropped()
            full = batch.full
            self.gatherer.added(received_bytes)
            if not full:  # it ran dry, or read as many as it may, empty ones included
                return dry
        return False

    def count_kernel_drops(self) -> None:
        """Add what the kernel dropped since the last call to the metric; called once a second and at a scrape."""
        inodes = {_inode(sock) for sock in self._sockets}
        for inode, total in kernel_drops(inodes).items():
            new = max(0, total - self._kernel_drops.get(inode, 0))
            self._kernel_drops[inode] = total
            self._metrics.kernel_dropped_datagrams.labels(self.name).inc(new)
            self._losses.add(new)

    async def stop(self) -> None:
        """Read what the kernel still holds, count its last drops, and close."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())
            deadline = loop.time() + _LAST_READ_SECONDS
            while not self._on_readable(sock) and loop.time() < deadline:
                pass
        self.count_kernel_drops()
        for sock in self._sockets:
            sock.close()
        self._sockets = []


def _inode(sock: socket.socket) -> int:
    """Return the number by which the kernel lists a socket."""
    return os.fstat(sock.fileno()).st_ino
