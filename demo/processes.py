"""Processes of the demo: each started with a log file of its own, each ended by its own id."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["DemoError", "Process", "free_port"]

_CANDIDATE_PORTS = 50  # a few demos side by side find one; a machine with 50 taken in a row has another problem


class DemoError(Exception):
    """The demo can't go on; the text says why."""


class Process:
    """A Python module that runs beside the demo.

    Args:
        name: for messages, and for its log file.
        arguments: the module and its arguments.
        directory: where its log file goes.
        environment: variables beside those of the demo.
        grace_seconds: how long it may take to end when it is told to.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        grace_seconds: float = 5,
    ) -> None:
        self.name = name
        self.log_file = directory / f"{name}.log"
        self._grace_seconds = grace_seconds
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOGSTREAMD_")}
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
                [sys.executable, "-m", *arguments],
                env={**inherited, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own: Ctrl-C reaches the demo alone, and the demo decides who ends first.
                process_group=0,
            )

    def check(self) -> None:
        """Make sure that it runs, or has ended as it should.

        Raises:
            DemoError: it failed.
        """
        code = self._process.poll()
        if code:
            said = self.log_file.read_text(errors="replace").splitlines()
            raise DemoError(f"{self.name} ended with exit code {code}:\n" + "\n".join(said[-10:]))

    def stop(self) -> None:
        """End it in order, or by force when it takes too long."""
        self._process.terminate()
        try:
            self._process.wait(self._grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port(preferred: int) -> int:
    """Return a loopback port that is free for TCP and UDP: the preferred one, or the next one that is.

    Raises:
        DemoError: all of them are taken.
    """
    candidates = range(preferred, preferred + _CANDIDATE_PORTS)
    for port in candidates:
        if _is_free(port):
            return port
    raise DemoError(f"the ports {candidates[0]} to {candidates[-1]} of 127.0.0.1 are all taken")


def _is_free(port: int) -> bool:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        # As servers do: connections that have ended lately don't hold the port.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stream.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
