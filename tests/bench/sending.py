"""Senders in processes of their own, as the benchmark sees them: ready when the block begins, they send when told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.acceptance.daemon_process import PROJECT
from tests.bench.native_sender import NativeSender, compile_sender
from tests.bench.waiting_process import WaitingProcess

__all__ = ["Sender", "Sending", "native_sender_program", "send_bodies", "send_file"]


class Sending(Protocol):
    """A sender, whatever it is written in."""

    def __enter__(self) -> Sending: ...

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def go(self) -> None:
        """Start to send."""

    def wait(self) -> object:
        """Return once everything is sent."""


class Sender(WaitingProcess):
    """One written in Python.

    Args:
        module: the program, below ``tests.bench``; prints ``ready``, waits for a line, prints the seconds it took.
        arguments: of the program.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        super().__init__([sys.executable, "-m", f"tests.bench.{module}", *arguments], cwd=PROJECT)

    def wait(self) -> float:
        """Return the seconds it took to send everything."""
        return float(self.line())


@lru_cache(1)
def native_sender_program() -> Path | None:
    """Return the sender in C; None without a compiler."""
    return compile_sender()


def send_file(protocol: str, to: tuple[str, int], file: Path, *, rate: int = 0) -> Sending:
    """Return a sender of a file, in C where there is a compiler.

    Args:
        protocol: ``tcp`` or ``udp``.
        to: host and port.
        file: see :mod:`tests.bench.sender`.
        rate: datagrams a second, 0 for no limit.
    """
    program = native_sender_program()
    if program is not None:
        return NativeSender(program, protocol, to, file=file, rate=rate)
    return Sender("sender", [protocol, to[0], str(to[1]), str(file), f"--rate={rate}"])


def send_bodies(to: tuple[str, int], file: Path) -> Sending:
    """Return a sender of a file of JSON lines as HTTP requests; see :mod:`tests.bench.http_sender`."""
    return Sender("http_sender", [to[0], str(to[1]), str(file)])
