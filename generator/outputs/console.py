"""Lines on standard output."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

from generator.outputs.output import Tally
from generator.stop import Stop

__all__ = ["ConsoleOutput"]

_SLICE_SECONDS = 0.2  # how often a write that waits looks whether the process should end
_STOP_SECONDS = 1.0  # for a reader that reads no more, when the process should end
_PIECE_BYTES = select.PIPE_BUF  # a pipe that select() calls writable takes this much without waiting


class ConsoleOutput:
    """Writes to a file descriptor, usually 1.

    Args:
        stop: ends a wait for the reader; requested here when there is no reader any more (``| head``).
        header: the first line.
    """

    def __init__(self, descriptor: int, *, stop: Stop, header: str | None = None) -> None:
        self.name = "console"
        self.tally = Tally()
        self._descriptor = descriptor
        self._stop = stop
        self._header = header
        self._is_gone = False

    def write(self, lines: Sequence[str]) -> None:
        """Write lines; wait while the reader is slow."""
        shown = list(lines) if self._header is None else [self._header, *lines]
        data = memoryview(("\n".join(shown) + "\n").encode())
        written = 0 if self._is_gone else self._write(data)
        whole = len(lines)
        if written < len(data):
            self._is_gone = True
            whole = max(0, bytes(data[:written]).count(b"\n") - (len(shown) - len(lines)))
        self._header = None
        self.tally.sent += whole
        self.tally.failed += len(lines) - whole

    def _write(self, data: memoryview) -> int:
        """Write what the reader takes, and return how much that was."""
        left = data
        patience_seconds = _STOP_SECONDS
        while left and patience_seconds > 0:
            if not select.select([], [self._descriptor], [], _SLICE_SECONDS)[1]:
                patience_seconds -= _SLICE_SECONDS if self._stop.requested else 0
                continue
            try:
                left = left[os.write(self._descriptor, left[:_PIECE_BYTES]) :]
            except OSError:
                self._stop.request()
                break
        return len(data) - len(left)

    def poll(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the descriptor belongs to the process."""
