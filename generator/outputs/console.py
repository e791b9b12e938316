"""Lines on standard output."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from generator.outputs.output import Tally

__all__ = ["ConsoleOutput"]


class ConsoleOutput:
    """Writes to a file descriptor, usually 1.

    Args:
        on_reader_gone: called once when nobody reads any more (``| head``).
        header: the first line.
    """

    def __init__(self, descriptor: int, *, on_reader_gone: Callable[[], None], header: str | None = None) -> None:
        self.name = "console"
        self.tally = Tally()
        self._descriptor = descriptor
        self._on_reader_gone = on_reader_gone
        self._header = header
        self._is_gone = False

    def write(self, lines: Sequence[str]) -> None:
        """Write lines; wait while the reader is slow."""
        if self._is_gone:
            self.tally.failed += len(lines)
            return
        shown = list(lines) if self._header is None else [self._header, *lines]
        try:
            self._write_all(memoryview(("\n".join(shown) + "\n").encode()))
        except BrokenPipeError:
            self._is_gone = True
            self.tally.failed += len(lines)
            self._on_reader_gone()
            return
        self._header = None
        self.tally.sent += len(lines)

    def _write_all(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def poll(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the descriptor belongs to the process."""
