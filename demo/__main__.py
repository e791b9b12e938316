"""``python -m demo``: everything together, until Ctrl-C."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from demo.daemon import Daemon
from demo.processes import DemoError
from demo.show import Show
from demo.stage import Addresses, Stage
from demo.tour import tour
from generator.stop import Stop, on_hangup, stopped_by_signals

__all__ = ["main"]

_START_SECONDS = 120  # initdb on a slow, busy disk
_FIRST_INCIDENT_SECONDS = 10  # long enough to see how it usually looks
_INCIDENT_EVERY_SECONDS = 60  # the alert of the one before has resolved half a minute after its begin
_COUNTS_EVERY_SECONDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Args:
        arguments: without the program's name; those of the process when None.

    Returns:
        The exit code: 0 it was stopped, 1 something failed.
    """
    parser = argparse.ArgumentParser(prog="demo", description="Shows logstreamd at work, until Ctrl-C.")
    parser.add_argument("--seconds", type=int, help="end by itself, so long after the tour")
    seconds = parser.parse_args(arguments).seconds
    with stopped_by_signals() as stop, on_hangup(stop.request):
        try:
            _run(stop, seconds)
        except DemoError as problem:
            _say(f"demo: {problem}")
            return 1
    return 0


def _run(stop: Stop, seconds: int | None) -> None:
    addresses = Addresses.choose()
    with _directory() as directory, closing(Daemon(addresses.url)) as daemon:
        stage = Stage(directory, addresses)
        try:
            _say("starting logstreamd and its PostgreSQL ...")
            stage.start_daemon()
            if _wait_ready(daemon, stage, stop):
                stage.start_sources()
                _say(_tour(addresses, stage))
                _watch(daemon, stage, stop, seconds)
            _say("stopping ...")
        finally:
            # Everybody has a deadline: a second Ctrl-C would only leave processes behind.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            stage.stop()
        _say_stored(stage)


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory that is gone afterwards.

    In the system's temporary one: its path is short enough for PostgreSQL's socket (107 bytes), and the user that
    PostgreSQL runs as when the demo is started by root can reach it.
    """
    path = Path(tempfile.mkdtemp(prefix="logstreamd-demo-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _wait_ready(daemon: Daemon, stage: Stage, stop: Stop) -> bool:
    """Return whether the daemon is ready; it is not when the demo was stopped first."""
    deadline = time.monotonic() + _START_SECONDS
    while not daemon.is_ready():
        stage.check()
        if time.monotonic() > deadline:
            raise DemoError(f"the daemon was not ready within {_START_SECONDS} s")
        if stop.wait(0.2):
            return False
    return True


def _tour(addresses: Addresses, stage: Stage) -> str:
    scripts = Path(sys.prefix) / "bin"
    return tour(
        addresses,
        files=str(stage.web_logs),
        activate="" if shutil.which("logstreamd") else f". {scripts / 'activate'}",
        first_seconds=_FIRST_INCIDENT_SECONDS,
        every_seconds=_INCIDENT_EVERY_SECONDS,
    )


def _watch(daemon: Daemon, stage: Stage, stop: Stop, seconds: int | None) -> None:
    """Show what happens, second by second, and let incidents happen."""
    show = Show(daemon, _say)
    start = time.monotonic()
    for second in count(1):
        if stop.wait(start + second - time.monotonic()) or (seconds is not None and second > seconds):
            return
        stage.check()
        if second % _INCIDENT_EVERY_SECONDS == _FIRST_INCIDENT_SECONDS:
            show.say_incident(second)
            stage.start_incident()
        show.say_alerts(second)
        if second % _COUNTS_EVERY_SECONDS == 0:
            show.say_counts(second)


def _say_stored(stage: Stage) -> None:
    stored = stage.stored()
    by_input = ", ".join(f"{name} {lines:,}" for name, lines in stored.items() if lines)
    if by_input:
        _say(f"stored {sum(stored.values()):,} lines: {by_input}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
