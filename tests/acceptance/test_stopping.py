"""Signals: the daemon stops in order, and what it has read is in the table or in the spool."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from tests.acceptance.daemon_process import PROJECT, DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import Address, numbered_lines, send_stream

StartDaemon = Callable[..., DaemonProcess]

_PAUSE_SECONDS = 0.002


class EndlessSender(threading.Thread):
    """Sends numbered messages over one connection, at most 50,000 a second, until the other side ends it."""

    def __init__(self, to: Address, service: str) -> None:
        super().__init__(name=f"sender of {service}")
        self._to = to
        self._service = service
        self.sent = 0

    def run(self) -> None:
        with socket.create_connection(self._to, timeout=30) as connection:
            while True:
                try:
                    connection.sendall(b"".join(numbered_lines(self._service, 100, first=self.sent)))
                except (BrokenPipeError, ConnectionResetError):
                    return
                self.sent += 100
                time.sleep(_PAUSE_SECONDS)


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_a_signal_while_messages_arrive_loses_nothing_that_was_read(make_daemon: StartDaemon, number: int) -> None:
    daemon = make_daemon().start()
    sender = EndlessSender(daemon.address("tcp"), "endless")
    with Database(daemon.psql) as database:
        sender.start()
        database.wait_for_rows("endless", 1_000)
        ledger = daemon.stop(number)["tcp"]
        sender.join(30)
        assert ledger["dropped"] == ledger["in_flight"] == ledger["spooled"] == 0
        assert ledger["received"] == ledger["stored"] > 1_000
        # The connection may have ended inside the last message; every one before it is whole.
        whole = "SELECT substring(message FROM '^seq=(\\d+)$')::integer FROM logs WHERE id < (SELECT max(id) FROM logs)"
        numbers = sorted(value for (value,) in database.fetch(whole))
        assert numbers == list(range(ledger["stored"] - 1))
        assert sender.sent >= len(numbers) - 100


def test_a_stop_without_messages_says_so_and_exits_with_0(make_daemon: StartDaemon) -> None:
    daemon = make_daemon().start()
    ledger = daemon.stop()
    assert all(line["received"] == 0 for line in ledger.values())
    assert [line["name"] for line in daemon.events("signal")] == ["SIGTERM"]


def test_what_the_database_does_not_take_in_time_waits_in_the_spool_for_the_next_start(
    make_daemon: StartDaemon,
) -> None:
    count = 2_000
    daemon = make_daemon(settings={"writer": {"drain_timeout_seconds": 0.1}}).start()
    with Database(daemon.psql) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        send_stream(daemon.address("tcp"), numbered_lines("late", count))
        wait_for("all messages in the spool", lambda: daemon.ledger("tcp")["spooled"] == count)
        assert daemon.stop()["tcp"]["spooled"] == count
        database.execute("ROLLBACK")
        assert daemon.start().ledger("tcp")["recovered"] == count
        database.wait_for_rows("late", count)
        database.assert_each_once("late", count)
        daemon.stop()


def test_a_second_signal_leaves_the_rest_to_the_spool_at_once(make_daemon: StartDaemon) -> None:
    count = 2_000
    daemon = make_daemon(settings={"writer": {"drain_timeout_seconds": 600}}).start()
    with Database(daemon.psql) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        send_stream(daemon.address("tcp"), numbered_lines("hurried", count))
        wait_for("all messages in the spool", lambda: daemon.ledger("tcp")["spooled"] == count)
        daemon.signal(SIGTERM)
        wait_for("the first signal", lambda: daemon.events("signal"))
        assert daemon.stop()["tcp"]["spooled"] == count


def test_rows_are_there_after_a_second_start_on_the_same_data(make_daemon: StartDaemon, open_directory: Path) -> None:
    daemon = make_daemon(open_directory / "state", dsn="embedded").start()
    send_stream(daemon.address("tcp"), numbered_lines("kept", 100))
    wait_for("all messages stored", lambda: daemon.ledger("tcp")["stored"] == 100)
    daemon.stop()
    daemon.start()
    assert len(daemon.logs(service="kept", limit=1_000)) == 100
    send_stream(daemon.address("tcp"), numbered_lines("kept", 100, first=100))
    wait_for("all messages stored", lambda: daemon.ledger("tcp")["stored"] == 100)
    with Database(daemon.psql) as database:
        database.assert_each_once("kept", 200)
    daemon.stop()


def test_a_killed_daemon_stores_what_was_spooled_when_it_starts_again(
    make_daemon: StartDaemon, open_directory: Path
) -> None:
    count = 20_000
    daemon = make_daemon(open_directory / "state", dsn="embedded").start()
    with Database(daemon.psql) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        send_stream(daemon.address("tcp"), numbered_lines("killed", count))
        wait_for("all messages in the spool", lambda: daemon.ledger("tcp")["spooled"] == count)
        daemon.kill()  # PostgreSQL runs on
    daemon.start()
    assert daemon.ledger("tcp")["recovered"] == count
    with Database(daemon.psql) as database:
        database.wait_for_rows("killed", count)
        database.assert_each_once("killed", count)
    wait_for("an empty spool", lambda: daemon.status()["spool"]["frames"] == 0)
    daemon.stop()


def test_the_end_of_its_terminal_stops_it_in_order(make_daemon: StartDaemon) -> None:
    terminal, theirs = os.openpty()
    daemon = make_daemon()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-m", "logstreamd", "run", "--config", daemon.config_file],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "LOGSTREAMD_HTTP__LISTEN": http},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        shown = b""
        while b"is ready" not in shown:
            shown += os.read(terminal, 4_096)
        os.close(terminal)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
