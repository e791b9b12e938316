"""Lines at the end of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from generator.outputs.output import Tally

__all__ = ["FileOutput"]

_MODE = 0o644


class FileOutput:
    """Appends to a file.

    Every write goes to the current end (``O_APPEND``), so a file that was truncated goes on at its new end. SIGHUP asks
    for :meth:`reopen`, as logrotate does after it has renamed a file.

    Args:
        path: made with its directories where it is missing.
        header: the first line of a file that is empty.
        tell: is told in one line when writing fails, and when it works again.

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: Path, *, header: str | None, tell: Callable[[str], None]) -> None:
        self.name = f"file {path}"
        self.tally = Tally()
        self._path = path
        self._header = header
        self._tell = tell
        self._is_failing = False
        self._ends_within_line = False
        self._reopen_requested = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)

    def request_reopen(self) -> None:
        """Open the path again before the next write; safe in a signal handler."""
        self._reopen_requested = True

    def write(self, lines: Sequence[str]) -> None:
        """Write lines. Those that the disk has no room for are given up."""
        self.poll()
        written = self._append(lines)
        if written == len(lines) and self._is_failing:
            self._is_failing = False
            self._tell(f"{self.name}: written again")
        self.tally.sent += written
        self.tally.failed += len(lines) - written

    def _reopen(self) -> None:
        try:
            before, self._descriptor = self._descriptor, self._open()
        except OSError as problem:
            self._tell(f"{self.name}: can't be opened anew, written on where it was: {problem.strerror}")
        else:
            os.close(before)
            self._ends_within_line = False
        self._reopen_requested = False

    def _append(self, lines: Sequence[str]) -> int:
        """Write lines and return how many are whole in the file."""
        needs_header = self._header is not None and os.fstat(self._descriptor).st_size == 0
        before = f"{self._header}\n" if needs_header else "\n" if self._ends_within_line else ""
        data = memoryview((before + "\n".join(lines) + "\n").encode())
        left = data
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as problem:
            self._note_failure(problem)
        written = bytes(data[: len(data) - len(left)])
        if written:
            self._ends_within_line = not written.endswith(b"\n")
        return max(0, written.count(b"\n") - bool(before))

    def _note_failure(self, problem: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            self._tell(f"{self.name}: {problem.strerror}; lines are given up until it can be written again")

    def poll(self) -> None:
        """Open the path again when that was asked for: the new file should be there soon also when lines are rare."""
        if self._reopen_requested:
            self._reopen()

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        try:
            os.fsync(self._descriptor)
        except OSError as problem:  # a FIFO or a terminal can't be synced, and need not be
            if self._is_failing:
                self._tell(f"{self.name}: {problem.strerror}")
        os.close(self._descriptor)
