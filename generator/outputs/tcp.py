"""Lines over one TCP connection, with either framing of RFC 6587.

TCP has no answer: ``sent`` says that the kernel took a line. When the connection breaks, the lines that it had not
taken whole go over the next connection; those on the way at that moment may be lost, and nobody can tell.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from itertools import accumulate

from generator.breaker import CircuitBreaker
from generator.outputs.output import Tally
from generator.stop import Stop

__all__ = ["FRAMINGS", "TcpOutput"]

FRAMINGS = ("newline", "octet-counting")
"""How one message is told from the next. Source: RFC 6587 sections 3.4.2 and 3.4.1."""

_CONNECT_SECONDS = 5.0
# The pauses between attempts to connect: in all short enough for the schedule to make up for.
_RETRY_SECONDS = (0.1, 0.3, 1.0)
_CONNECTIONS_PER_WRITE = 3  # for a receiver that accepts connections only to break them
_SLICE_SECONDS = 0.2  # how often a send that waits looks whether the process should end
_STOP_SECONDS = 1.0  # for a receiver that takes no more, when the process should end


class TcpOutput:
    """Sends to one address, and connects again when the connection breaks.

    Args:
        framing: one of :data:`FRAMINGS`.
        stop: ends every wait.
        breaker: counts attempts to connect; while it is open lines are given up at once.
    """

    def __init__(self, host: str, port: int, *, framing: str, stop: Stop, breaker: CircuitBreaker) -> None:
        self.name = f"tcp {host}:{port}"
        self.tally = Tally()
        self._address = (host, port)
        self._counts_octets = framing == "octet-counting"
        self._stop = stop
        self._breaker = breaker
        self._socket: socket.socket | None = None

    def write(self, lines: Sequence[str]) -> None:
        """Send lines; wait while the receiver reads slowly."""
        frames = [self._frame(line.encode()) for line in lines]
        for connection in range(_CONNECTIONS_PER_WRITE):
            if not frames:
                break
            receiver = self._socket or self._connect()
            if receiver is None:
                break
            self.tally.retried += len(frames) if connection else 0
            taken = self._send(receiver, frames)
            self.tally.sent += taken
            frames = frames[taken:]
        self.tally.failed += len(frames)

    def _frame(self, message: bytes) -> bytes:
        return b"%d %b" % (len(message), message) if self._counts_octets else message + b"\n"

    def _connect(self) -> socket.socket | None:
        for pause in (*_RETRY_SECONDS, None):
            if not self._breaker.allows():
                return None
            try:
                self._socket = socket.create_connection(self._address, timeout=_CONNECT_SECONDS)
            except OSError as problem:
                self._breaker.failed(str(problem))
            else:
                self._socket.settimeout(_SLICE_SECONDS)
                self._breaker.succeeded()
                return self._socket
            if pause is None or self._stop.wait(pause):
                break
        return None

    def _send(self, receiver: socket.socket, frames: Sequence[bytes]) -> int:
        """Send frames and return how many the kernel took whole; unless it took all, the connection is closed."""
        left = memoryview(b"".join(frames))
        total = len(left)
        patience_seconds = _STOP_SECONDS
        try:
            while left and patience_seconds > 0:
                try:
                    left = left[receiver.send(left) :]
                except TimeoutError:
                    patience_seconds -= _SLICE_SECONDS if self._stop.requested else 0
        except OSError as problem:
            self._breaker.failed(str(problem))
        if not left:
            return len(frames)
        receiver.close()  # also when it is only slow: what follows half a frame would be read as its end
        self._socket = None
        taken = total - len(left)
        return sum(end <= taken for end in accumulate(map(len, frames)))

    def poll(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close in order: what was sent is read by the receiver before it closes its side."""
        if self._socket is None:
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_STOP_SECONDS)
            self._socket.recv(1)
        except OSError:
            pass  # it closed first, or takes its time: the kernel goes on delivering
        self._socket.close()
