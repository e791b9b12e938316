"""Standard error, which may end before the daemon does: a line that can't be written is lost, and nothing with it."""

from __future__ import annotations

import errno
import os
from typing import TextIO

__all__ = ["Stream"]

# The terminal hung up, or nobody reads the pipe any more. A disk that is full may have room for the next line.
_FOR_GOOD = (errno.EIO, errno.EPIPE)


class Stream:
    """Writes without ever failing.

    Args:
        stream: where to; once it is gone for good, nowhere.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write a text, or lose it."""
        try:
            self._stream.write(text)
        except OSError as problem:
            self._give_up(problem)

    def flush(self) -> None:
        """Write what was not written yet, or lose it."""
        try:
            self._stream.flush()
        except OSError as problem:
            self._give_up(problem)

    def _give_up(self, problem: OSError) -> None:
        if problem.errno in _FOR_GOOD:
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nowhere, self._stream.fileno(), inheritable=True)
            os.close(nowhere)
