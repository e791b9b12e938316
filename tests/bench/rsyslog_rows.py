"""The peer: rsyslogd takes the same lines over TCP and writes them to a simple table with its ompgsql module."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.bench.daemon_rows import cpu_seconds, peak_bytes
from tests.bench.result import Result
from tests.bench.sending import send_file

__all__ = ["has_rsyslog", "measure_rsyslog"]

_COMMAND = shutil.which("rsyslogd", path="/usr/local/sbin:/usr/sbin:/sbin")
_MODULES = ("/usr/lib/*-linux-gnu/rsyslog/ompgsql.so", "/usr/lib*/rsyslog/ompgsql.so")
_PATIENCE_SECONDS = 600

# The columns that rsyslog's standard template fills.
_TABLE = """
CREATE TABLE systemevents (
    id bigserial PRIMARY KEY, receivedat timestamp, devicereportedtime timestamp, facility smallint, priority smallint,
    fromhost text, message text, infounitid integer, syslogtag text
)
"""

_CONFIG = """
global(workDirectory="{directory}" maxMessageSize="64k")
module(load="{input}")
module(load="ompgsql")
input(type="{input}" address="127.0.0.1" port="{port}" ruleset="store")
ruleset(name="store" queue.type="FixedArray" queue.size="{messages}" queue.dequeueBatchSize="1000") {{
    action(type="ompgsql" conninfo="{dsn}")
}}
"""


def has_rsyslog() -> bool:
    """Whether rsyslogd and its PostgreSQL module are installed; the TCP inputs are in every package of it."""
    return _COMMAND is not None and any(any(Path("/").glob(pattern[1:])) for pattern in _MODULES)


def measure_rsyslog(name: str, dsn: str, file: Path, messages: int, directory: Path, *, tcp_input: str) -> Result:
    """Measure it with rsyslog's own defaults but for a queue that holds everything and batches of 1,000.

    Args:
        name: the row's name.
        dsn: an empty database.
        file: the messages by line.
        messages: how many they are.
        directory: for its files.
        tcp_input: ``imtcp`` or ``imptcp``.
    """
    with Database(dsn) as database:
        database.execute(_TABLE)
        with (
            _running(dsn, messages, directory, tcp_input) as (pid, port),
            send_file("tcp", ("127.0.0.1", port), file) as sender,
        ):
            cpu_before = cpu_seconds(pid)
            started = time.perf_counter()
            sender.go()
            wait_for("rsyslog's rows", lambda: _count(database) >= messages, seconds=_PATIENCE_SECONDS)
            seconds = time.perf_counter() - started
            return Result(name, messages, seconds, cpu_seconds(pid) - cpu_before, peak_bytes(pid))


def _count(database: Database) -> int:
    """Count without reading the table: ids have no gaps as long as nothing fails."""
    ((last,),) = database.fetch("SELECT coalesce(max(id), 0) FROM systemevents")
    return int(last)


@contextmanager
def _running(dsn: str, messages: int, directory: Path, tcp_input: str) -> Iterator[tuple[int, int]]:
    """Run rsyslogd; yields its process and its port."""
    assert _COMMAND is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "rsyslog.conf"
    config.write_text(_CONFIG.format(directory=directory, port=port, messages=messages, dsn=dsn, input=tcp_input))
    process = subprocess.Popen([_COMMAND, "-n", "-f", str(config), "-i", str(directory / "rsyslog.pid")])
    try:
        wait_for("rsyslogd", lambda: _listens(port))
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
