"""The real generator in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.scenarios.app import OPTIONS
from tests.acceptance.daemon_process import PROJECT, wait_for

__all__ = ["GeneratorProcess", "generate", "generating"]

_SECONDS = 60
_OURS = {option.variable for option in OPTIONS}


def _environment(variables: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**inherited, "PYTHONPATH": str(PROJECT), **variables}


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "generator", *arguments]


def generate(*arguments: str, cwd: Path | str = "/", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        _command(arguments),
        env=_environment(variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


class GeneratorProcess:
    """One that runs until it is told to stop."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process = process
        self._errors = errors

    @property
    def errors(self) -> str:
        """What it said on standard error."""
        return self._errors.read_text()

    def wait_said(self, text: str) -> str:
        """Wait until it said something, and return all that it said."""
        return wait_for(f"{text!r} on standard error", lambda: self.errors if text in self.errors else "")

    def stop(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


@contextmanager
def generating(directory: Path, *arguments: str, **variables: str) -> Iterator[GeneratorProcess]:
    """Let it run while the block does; what it says is kept in the directory."""
    errors = directory / f"generator-{len(list(directory.glob('generator-*')))}"
    with (
        errors.open("wb") as err,
        subprocess.Popen(
            _command(arguments), env=_environment(variables), cwd=directory, stdout=subprocess.DEVNULL, stderr=err
        ) as process,
    ):
        try:
            yield GeneratorProcess(process, errors)
        finally:
            process.kill()
