"""The sender in C (``sender.c``), compiled where there is a compiler: nothing here is ever slower than a daemon."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.waiting_process import WaitingProcess

__all__ = ["NativeSender", "Sent", "compile_sender"]

_SOURCES = tuple(Path(__file__).with_name(name) for name in ("sender.c", "sender_messages.h"))


def compile_sender(cache: Path | None = None) -> Path | None:
    """Return the program, compiled once for each state of its source; None without a compiler or on another system.

    Args:
        cache: where to keep it, instead of the user's cache directory.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    if cache is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logstreamd-bench"
    cache.mkdir(parents=True, exist_ok=True)
    state = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()
    program = cache / f"sender-{state[:16]}"
    if not program.exists():
        unfinished = program.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O2", "-std=gnu11", "-o", str(unfinished), str(_SOURCES[0])]
        if subprocess.run(command, capture_output=True).returncode:
            return None
        unfinished.rename(program)
    return program


@dataclass(frozen=True)
class Sent:
    """What a sender sent.

    Attributes:
        messages: how many; 0 for a TCP stream from a file, which it does not look into.
        bytes: of messages, with their framing on TCP.
        seconds: from the first to the last.
        late_seconds: how far behind its rate it ever was.
    """

    messages: int
    bytes: int
    seconds: float
    late_seconds: float


class NativeSender(WaitingProcess):
    """A sender in a process of its own: ready when the block begins, sends when told.

    Args:
        program: see :func:`compile_sender`.
        protocol: ``tcp`` or ``udp``.
        to: host and port.
        file: the messages, as :mod:`tests.bench.sender` has them; without one they are made on the way.
        count: how many messages to make, numbered from 0 behind ``seq=``.
        shape: ``rfc5424``, ``rfc3164`` or ``json``.
        framing: ``newline`` or ``octet``, for TCP.
        rate: datagrams a second, 0 for no limit.
    """

    def __init__(
        self,
        program: Path,
        protocol: str,
        to: tuple[str, int],
        *,
        file: Path | None = None,
        count: int = 0,
        shape: str = "rfc5424",
        framing: str = "newline",
        rate: float = 0,
    ) -> None:
        what = [f"--file={file}"] if file else [f"--count={count}", f"--shape={shape}", f"--framing={framing}"]
        super().__init__([program, protocol, to[0], str(to[1]), *what, f"--rate={rate}", "--wait"])

    def wait(self) -> Sent:
        """Return what was sent, once it is."""
        return Sent(**json.loads(self.line()))
