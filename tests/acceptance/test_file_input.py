"""Log files, really rotated, with a daemon that is killed in between: every line is stored once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database

StartDaemon = Callable[..., DaemonProcess]

RATE = 20_000
SECONDS = 10

# Writes numbered lines at a rate; "rename" reopens when its file was renamed, as a well-behaved application does.
WRITER = """
import os, sys, time
path, rate, count, reopen = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "reopen"
def opened():
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
file, written, start = opened(), 0, time.monotonic()
while written < count:
    due = min(count, int((time.monotonic() - start) * rate))
    while written < due:
        upto = min(due, written + 50)
        lines = (f"2026-11-22T10:00:00,000 INFO worker seq={n} of the run" for n in range(written, upto))
        os.write(file, "".join(f"{line}\\n" for line in lines).encode())
        written = upto
        if reopen:
            try:
                same = os.stat(path).st_ino == os.fstat(file).st_ino
            except FileNotFoundError:
                same = False
            if not same:
                os.close(file)
                file = opened()
    time.sleep(0.002)
"""


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


@pytest.fixture
def write(logs: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts writers of ``service.log``."""
    started: list[subprocess.Popen[bytes]] = []

    def start(service: str, count: int, *, reopen: bool) -> subprocess.Popen[bytes]:
        path = logs / f"{service}.log"
        arguments = [str(path), str(RATE), str(count), "reopen" if reopen else "keep"]
        started.append(subprocess.Popen([sys.executable, "-c", WRITER, *arguments]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def file_input(logs: Path, **options: object) -> list[dict[str, object]]:
    return [{"type": "file", "paths": [str(logs / "*.log")], "poll_interval_seconds": 0.2, **options}]


def logrotate(logs: Path, service: str, style: str) -> Callable[[], None]:
    """Return what rotates a log by the real program."""
    if shutil.which("logrotate") is None:
        pytest.skip("no logrotate (Debian: apt-get install logrotate)")
    config = logs.parent / "logrotate.conf"
    config.write_text(
        textwrap.dedent(f"""
        {logs}/{service}.log {{
            rotate 50
            nocompress
            {style}
            su {os.getuid()} {os.getgid()}
        }}
        """).replace(f"su {os.getuid()} {os.getgid()}", "su root root" if os.getuid() == 0 else "")
    )

    def rotate() -> None:
        state = logs.parent / "logrotate.state"
        subprocess.run(["logrotate", "--force", "--state", str(state), str(config)], check=True, timeout=60)

    return rotate


def mv(logs: Path, service: str) -> Callable[[], None]:
    numbers = iter(range(1, 1000))

    def rotate() -> None:
        subprocess.run(["mv", f"{logs}/{service}.log", f"{logs}/{service}.log.{next(numbers)}"], check=True, timeout=60)

    return rotate


def numbers_in(paths: list[Path]) -> set[int]:
    """The numbers of the lines that files hold."""
    return {
        int(line.partition(b"seq=")[2].split()[0])
        for path in paths
        for line in path.read_bytes().splitlines()
        if b"seq=" in line
    }


def run(daemon: DaemonProcess, writer: subprocess.Popen[bytes], rotate: Callable[[], None]) -> None:
    """Rotate and kill while lines are written: with the daemon up, and while it is away."""
    for step in range(4):
        daemon.launch()
        daemon.wait_listening()
        wait_for("lines read", lambda: daemon.ledger("file")["received"] > 0)
        rotate()
        daemon.kill()
        if step % 2:
            rotate()
        if writer.poll() is not None:
            break
    assert step > 0, "the lines were written before the second rotation"
    writer.wait(60)
    if not daemon.runs:
        daemon.start()


@pytest.mark.parametrize("style", ["create", "copytruncate", "mv"])
def test_every_line_is_stored_once_through_rotations_and_kills(
    make_daemon: StartDaemon, logs: Path, write: Callable[..., subprocess.Popen[bytes]], style: str
) -> None:
    count = RATE * SECONDS
    daemon = make_daemon(inputs=file_input(logs))
    rotate = mv(logs, "worker") if style == "mv" else logrotate(logs, "worker", style)
    writer = write("worker", count, reopen=style != "copytruncate")
    run(daemon, writer, rotate)
    # What was written between logrotate's copy and its truncation is nowhere, unless we were quicker.
    there = numbers_in(sorted(logs.iterdir()))
    assert len(there) == count or style == "copytruncate"
    with Database(daemon.psql) as database:
        wait_for("all lines", lambda: database.count("worker") >= len(there), seconds=60)
        rows = database.fetch("SELECT substring(message FROM 'seq=(\\d+)')::int AS n, count(*) FROM logs GROUP BY 1")
        assert [row for row in rows if row[1] != 1] == []
        stored = {row[0] for row in rows}
        assert there - stored == set()
        assert stored <= set(range(count))
        assert database.distinct("attrs ->> 'file'", "worker") == [(str(logs / "worker.log"),)]
    ledger = daemon.stop()["file"]
    assert (ledger["dropped"], ledger["imbalance"]) == (0, 0)


def test_lines_written_while_the_database_is_away_and_through_a_restart_are_stored_once(
    make_daemon: StartDaemon, logs: Path, write: Callable[..., subprocess.Popen[bytes]]
) -> None:
    count = 5_000
    daemon = make_daemon(inputs=file_input(logs), settings={"writer": {"drain_timeout_seconds": 0}}).start()
    with Database(daemon.psql) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")  # stored is nothing from now on
        writer = write("away", count, reopen=True)
        writer.wait(60)
        wait_for("all lines in the spool", lambda: daemon.ledger("file")["spooled"] == count)
        daemon.kill()
        database.execute("ROLLBACK")
        daemon.start()
        database.wait_for_rows("away", count)
        database.assert_each_once("away", count)
    daemon.stop()


def test_status_and_metrics_tell_of_every_file(make_daemon: StartDaemon, logs: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    (logs / "api.log").write_text(
        "2026-11-22T10:00:00Z ERROR cannot pay\njava.lang.IllegalStateException: no\n\tat a.B(C.java:1)\n"
        '{"level": "warn", "message": "slow", "service": "shop"}\n'
    )
    (logs / "directory.log").mkdir()
    daemon = make_daemon(inputs=file_input(logs, mirror={"directory": str(mirror)})).start()
    rows = wait_for("two rows", lambda: rows if len(rows := daemon.logs(limit=10)) == 2 else None)
    by_service = {row["service"]: row for row in rows}
    assert by_service["api"]["level"] == "error"
    assert by_service["api"]["message"].count("\n") == 2
    assert (by_service["shop"]["level"], by_service["shop"]["attrs"]["file"]) == ("warning", str(logs / "api.log"))
    files = daemon.status()["inputs"]["file"]["files"]
    (shown,) = files["files"]
    assert (shown["position"], shown["lag_bytes"], shown["lines"], shown["records"]) == (shown["size"], 0, 4, 2)
    assert files["problems"] == {str(logs / "directory.log"): "not a regular file"}
    metrics = daemon.get("/metrics").body.decode()
    for line in (
        'file_lines_total{input="file"} 4.0',
        'followed_files{input="file"} 1.0',
        'file_lag_bytes{input="file"} 0.0',
    ):
        assert f"logstreamd_{line}" in metrics
    daemon.stop()
    (copy,) = mirror.glob("api.log-*.jsonl")
    assert len(copy.read_text().splitlines()) == 2
    assert (mirror / "collection_stats.json").exists()
