"""Messages of this machine's own processes: datagrams at a path, as ``syslog()`` sends them to ``/dev/log``.

The kernel makes a sender wait when the queue is full (``net.unix.max_dgram_qlen`` datagrams, 10 or 512 by default) and
drops nothing. So an input that waits for the spool stops reading, and nothing is lost. All senders share the queue: one
that is over its limit is not kept waiting, as everybody would wait with it; its messages are read and cut.

The kernel also says which process sent a datagram, and as which user: that can't be made up, unlike the tag and the
process id in the message (only root may name another one), and is stored with the row. Source: unix(7), SO_PASSCRED.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import structlog

from logstreamd.inputs.admission import Admission
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.unix_socket import ensure_mode, open_unix, remove_if_stale
from logstreamd.wire.batch import TRUNCATED
from logstreamd.wire.framing import trim_datagram
from logstreamd.wire.sender import sender_entry

__all__ = ["UnixInput"]

_log = structlog.get_logger(__name__)

# One turn of the event loop reads at most this many, in 2 ms: as many as the queue holds on most systems, so that one
# turn is enough to have all that was sent before a stop.
_DATAGRAMS_PER_TURN = 512
_LAST_READ_SECONDS = 0.5  # senders that do not pause must not keep the daemon from stopping
_BUSY_SECONDS = 0.01
_MAX_ENTRIES = 1_024  # senders whose entry is remembered: 250 bytes each, and a program that logs much stays in it
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
# Room for nothing but these: the kernel closes files that somebody sends along, and they never become ours.
_ANCILLARY_BYTES = socket.CMSG_SPACE(_CREDENTIALS.size)
_LINE_ENDS = 4  # bytes read beyond max_frame_bytes, so that what ends a line does not count as cut off


class UnixInput:
    """Reads datagrams from one path.

    Args:
        gatherer: takes the frames, and says when to stop reading.
        admission: how much a user may send.
        path: where; see :func:`~logstreamd.inputs.unix_socket.bind_unix`.
        mode: who may write to it.
        max_frame_bytes: longer messages are cut and marked.

    Attributes:
        admission: how much a user may send.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        admission: Admission,
        *,
        path: Path,
        mode: int,
        max_frame_bytes: int,
    ) -> None:
        self.gatherer = gatherer
        gatherer.on_congestion = self._on_congestion
        self.name = gatherer.name
        self.admission = admission
        self._path = path
        self._mode = mode
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray(max_frame_bytes + _LINE_ENDS)
        self._sockets: list[socket.socket] = []

    @property
    def congested(self) -> bool:
        """Whether it waits for the spool."""
        return self.gatherer.congested

    @property
    def endpoints(self) -> list[str]:
        """Where it listens."""
        return [str(self._path)] if self._sockets else []

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """What it reads from."""
        return self._sockets

    def apply(self, *, mode: int, max_frame_bytes: int) -> None:
        """Take other settings; nothing is closed, and nothing lost."""
        if mode != self._mode:
            self._mode = mode
            self._ensure_mode()
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray(max_frame_bytes + _LINE_ENDS)

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Start to read.

        Args:
            sockets: bound already, and given over to this input; none: it binds its path itself.

        Raises:
            OSError: the path can't be bound; never with a socket that is bound.
        """
        self._sockets = list(sockets) or [open_unix(self._path, self._mode)]
        for sock in self._sockets:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        if sockets:  # of another input, maybe with other permissions
            self._ensure_mode()
        self._read()

    def _ensure_mode(self) -> None:
        try:
            ensure_mode(self._path, self._mode)
        except OSError as problem:
            _log.error("permissions not changed", input=self.name, path=str(self._path), problem=problem.strerror)

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.add_reader(sock.fileno(), self._on_readable, sock)

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())

    def _on_congestion(self, congested: bool) -> None:
        """Stop reading, or read on: what is gathered waits for the spool."""
        if congested:
            self._pause()
        else:
            self._read()

    def _on_readable(self, sock: socket.socket) -> bool:
        """Read one turn's worth of datagrams; True when none is left."""
        gatherer, received_at = self.gatherer, time.time_ns() // 1_000
        received_bytes, dry = 0, False
        for _ in range(_DATAGRAMS_PER_TURN):
            try:
                # MSG_TRUNC: the length is that of the datagram, of which the buffer may hold only the beginning.
                size, ancillary, _, _ = sock.recvmsg_into([self._buffer], _ANCILLARY_BYTES, socket.MSG_TRUNC)
            except (BlockingIOError, InterruptedError):
                dry = True
                break
            received_bytes += size
            self._take(size, ancillary, received_at)
            if gatherer.batch.full:
                gatherer.added(received_bytes)
                received_bytes = 0
                if gatherer.congested:
                    break
        self.admission.take_dropped()
        gatherer.added(received_bytes)
        return dry

    def _take(self, size: int, ancillary: list[tuple[int, int, bytes]], received_at: int) -> None:
        """Make a frame of the datagram in the buffer, or cut it."""
        if not size:  # nothing was said
            return
        entry, user = _sender(ancillary)
        if self.admission.limited and not self.admission.gate(user).try_take(size):
            return
        if size > len(self._buffer):
            frame, flags = bytes(self._buffer[: self._max_frame_bytes]), TRUNCATED
        else:
            frame, flags = trim_datagram(bytes(self._buffer[:size]), self._max_frame_bytes)
        batch = self.gatherer.batch
        batch.append(frame, received_at, batch.peer_id(entry), flags)

    async def stop(self) -> None:
        """Read what the kernel still holds, close, and leave no file behind."""
        self._pause()
        self.gatherer.on_congestion = lambda _: None  # nothing is read from here on but below
        for sock in self._sockets:
            await self._read_out(sock)
            sock.close()
        self._sockets = []
        try:
            remove_if_stale(self._path)
        except OSError as problem:
            _log.warning("the socket's file stays", input=self.name, path=str(self._path), problem=problem.strerror)

    async def _read_out(self, sock: socket.socket) -> None:
        """Read until nothing is left; a spool that is busy is waited for, mostly for some milliseconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LAST_READ_SECONDS
        while loop.time() < deadline:
            if self.gatherer.congested:
                await asyncio.sleep(_BUSY_SECONDS)
            elif self._on_readable(sock):
                return


def _sender(ancillary: list[tuple[int, int, bytes]]) -> tuple[str, str]:
    """Return a sender's entry in a batch, and the name under which its user is limited."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return _described(*_CREDENTIALS.unpack_from(data))
    return "", "unknown"  # not on Linux


@lru_cache(_MAX_ENTRIES)
def _described(pid: int, uid: int, gid: int) -> tuple[str, str]:
    process = {"peer_pid": pid} if pid else {}  # 0: of another container, or sent before anybody asked who it was
    return sender_entry("", {**process, "peer_uid": uid, "peer_gid": gid}), f"uid {uid}"
