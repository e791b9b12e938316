"""A sender in a process of its own, as the benchmark sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.acceptance.daemon_process import PROJECT

__all__ = ["Sender"]


class Sender:
    """Has its messages ready when the block begins, and sends them when told.

    Args:
        protocol: ``tcp`` or ``udp``.
        to: host and port.
        file: see :mod:`tests.bench.sender`.
        rate: datagrams a second, 0 for no limit.
    """

    def __init__(self, protocol: str, to: tuple[str, int], file: Path, *, rate: int = 0) -> None:
        command = [sys.executable, "-m", "tests.bench.sender", protocol, to[0], str(to[1]), str(file), f"--rate={rate}"]
        self._process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Sender:
        assert self._line() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> None:
        """Start to send."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")

    def wait(self) -> float:
        """Return the seconds it took to send everything."""
        return float(self._line())
