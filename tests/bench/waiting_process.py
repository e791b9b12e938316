"""A program that says ``ready``, waits for a line, and then works: so that starting it is not measured."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

__all__ = ["WaitingProcess"]


class WaitingProcess:
    """A started program; as a context it is ready inside and gone afterwards.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
    """

    def __init__(self, command: Sequence[str | Path], *, cwd: Path | None = None) -> None:
        self._process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        assert self.line() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """Return the next line it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> None:
        """Tell it to begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
