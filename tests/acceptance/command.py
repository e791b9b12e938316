"""The commands that ask a daemon, in processes of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGINT

from tests.acceptance.daemon_process import PROJECT, DaemonProcess

__all__ = ["Running", "ask", "on_a_terminal", "running"]

_SECONDS = 30


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "logstreamd", *arguments]


def _environment(url: str, **variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LOGSTREAMD_", "NO_COLOR"))}
    return {**inherited, "PYTHONPATH": str(PROJECT), "LOGSTREAMD_URL": url, "TERM": "xterm", **variables}


def ask(
    daemon: DaemonProcess | str, *arguments: str, output: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    environment = _environment(daemon if isinstance(daemon, str) else daemon.url, **variables)
    return subprocess.run(
        _command(arguments),
        env=environment,
        cwd="/",
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def on_a_terminal(daemon: DaemonProcess, *arguments: str, **variables: str) -> str:
    """Run a command to its end on a terminal and return what that got."""
    ours, theirs = pty.openpty()
    environment = _environment(daemon.url, **variables)
    with subprocess.Popen(_command(arguments), env=environment, cwd="/", stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # what Linux says when the other side has closed
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        process.wait(_SECONDS)
    return shown.decode()


class Running:
    """A command that goes on until it is interrupted; its output is gathered in files."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self.process = process
        self._output = output
        self._errors = errors

    @property
    def lines(self) -> list[str]:
        """What it printed, as far as the lines are complete."""
        return [line for line in self._output.read_text().splitlines(keepends=True) if line.endswith("\n")]

    @property
    def errors(self) -> str:
        """What it said on standard error."""
        return self._errors.read_text()

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(SIGINT)
        return self.process.wait(_SECONDS)


@contextmanager
def running(url: str, directory: Path, *arguments: str, **variables: str) -> Iterator[Running]:
    """Let a command run while the block does."""
    output, errors = directory / "output", directory / "errors"
    with (
        output.open("wb") as out,
        errors.open("wb") as err,
        subprocess.Popen(
            _command(arguments), env=_environment(url, **variables), cwd="/", stdout=out, stderr=err
        ) as process,
    ):
        try:
            yield Running(process, output, errors)
        finally:
            process.kill()
