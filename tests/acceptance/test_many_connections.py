"""Thousands of connections that say nothing, or say it slowly, beside senders that work."""

from __future__ import annotations

import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import numbered_lines, send_stream
from tests.certificates import Authority

MESSAGES = 5_000
_FILES_IN_A_SHELL = 256
_SPARE_FILES = 500  # what this process and the daemon need beside the connections
_KIB_PER_CONNECTION = 32  # measured: 1.5, and 15 with TLS
_KIB_SPARE = 4096  # what any work makes the daemon grow by


@dataclass
class Crowded:
    """A daemon with room for a crowd."""

    daemon: DaemonProcess
    authority: Authority

    def metric(self, name: str, source: str = "tcp", **labels: str) -> float:
        wanted = "".join(f',{label}="{value}"' for label, value in labels.items())
        start = f'logstreamd_{name}{{input="{source}"{wanted}}} '
        lines = self.daemon.get("/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)), 0.0)

    def resident_kib(self) -> float:
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0])

    @contextmanager
    def idle(self, source: str, count: int) -> Iterator[list[socket.socket]]:
        """So many connections that say nothing."""
        address, client = self.daemon.address(source), self.authority.client()
        with ExitStack() as stack:
            connections: list[socket.socket] = []
            for _ in range(count):
                connection = stack.enter_context(socket.create_connection(address, timeout=60))
                if source == "tls":
                    connection = stack.enter_context(client.wrap_socket(connection, server_hostname="localhost"))
                connections.append(connection)
            wait_for("the connections", lambda: self.metric("connections", source) == count)
            yield connections
        wait_for("their end", lambda: self.metric("connections", source) == 0)


@pytest.fixture(scope="module")
def crowded(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowded]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    directory = tmp_path_factory.mktemp("crowd")
    authority = Authority(directory)
    files = authority.issue("localhost")
    tls = {"certificate": str(files.certificate), "key": str(files.key), "handshake_timeout_seconds": 1}
    limits = {"listen": "127.0.0.1:0", "max_connections": 10_001, "frame_deadline_seconds": 1}
    daemon = DaemonProcess(
        directory / "state",
        dsn=make_database(),
        inputs=[{"type": "tcp", **limits}, {"type": "tls", "tls": tls, **limits}],
    )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_IN_A_SHELL, hard))  # the daemon itself has to see to more
        daemon.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        yield Crowded(daemon, authority)
        daemon.stop()
    finally:
        daemon.dispose()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def database(crowded: Crowded) -> Iterator[Database]:
    with Database(crowded.daemon.psql) as database:
        yield database


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("tcp", 500),
        ("tls", 200),
        pytest.param("tcp", 10_000, marks=pytest.mark.slow),
        pytest.param("tls", 5_000, marks=pytest.mark.slow),
    ],
)
def test_idle_connections_cost_little_and_keep_nobody_waiting(
    crowded: Crowded, database: Database, source: str, count: int
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < count + _SPARE_FILES:
        pytest.skip(f"fewer than {count} open files are allowed (ulimit -Hn)")
    service = f"beside-{count}-{source}"
    before = crowded.resident_kib()
    with crowded.idle(source, count) as idle:
        grown = crowded.resident_kib() - before
        send_stream(crowded.daemon.address("tcp"), numbered_lines(service, MESSAGES))
        database.wait_for_rows(service, MESSAGES)
        idle[-1].sendall(b"<14>1 - web-1 %s 7 - - seq=%d\n" % (service.encode(), MESSAGES))
        database.wait_for_rows(service, MESSAGES + 1)
        if source == "tcp" and count == 10_000:
            with crowded_out(crowded), crowded_out(crowded):
                wait_for("refusals", lambda: crowded.metric("rejected_connections_total") >= 1)
    database.assert_each_once(service, MESSAGES + 1)
    assert grown < count * _KIB_PER_CONNECTION + _KIB_SPARE


@contextmanager
def crowded_out(crowded: Crowded) -> Iterator[None]:
    """One connection more."""
    with socket.create_connection(crowded.daemon.address("tcp"), timeout=60):
        yield


SLOW = {
    "a line that does not end": b"<14>and another thing",
    "a count and nothing": b"1000 ",
    "a count and half a message": b"1000 <14>half",
    "digits for ever": b"9" * 40,
    "the begin of a handshake": b"\x16",
}


def test_slow_senders_are_closed_by_their_deadline_and_keep_nobody_waiting(
    crowded: Crowded, database: Database
) -> None:
    deadlines = crowded.metric("closed_connections_total", reason="deadline")
    timeouts = crowded.metric("tls_failures_total", "tls", reason="timeout")
    with ExitStack() as stack:
        slow: list[socket.socket] = []
        for number, begin in enumerate([*SLOW.values()] * 10):
            connection = stack.enter_context(socket.create_connection(crowded.daemon.address("tcp")))
            connection.sendall(begin)
            slow.append(connection)
            stalling = stack.enter_context(socket.create_connection(crowded.daemon.address("tls")))
            stalling.sendall(b"\x16\x03\x01\x02"[: number % 4])
        send_stream(crowded.daemon.address("tcp"), numbered_lines("healthy", MESSAGES))
        secure(crowded, numbered_lines("healthy-tls", MESSAGES))
        database.wait_for_rows("healthy", MESSAGES)
        database.wait_for_rows("healthy-tls", MESSAGES)
        while crowded.metric("closed_connections_total", reason="deadline") - deadlines < len(slow):
            for connection in slow:  # one byte more does not give them more time
                with suppress(OSError):
                    connection.send(b"9")
        wait_for(
            "handshakes given up",
            lambda: crowded.metric("tls_failures_total", "tls", reason="timeout") - timeouts == len(slow),
        )
    database.assert_each_once("healthy", MESSAGES)
    database.assert_each_once("healthy-tls", MESSAGES)


def secure(crowded: Crowded, lines: list[bytes]) -> None:
    """Send over TLS, from an address of its own: those that stall have a quarter of the places for handshakes."""
    address = crowded.daemon.address("tls")
    with socket.create_connection(address, timeout=30, source_address=("127.0.0.2", 0)) as plain:
        sender: ssl.SSLSocket = crowded.authority.client().wrap_socket(plain, server_hostname="localhost")
        sender.sendall(b"".join(lines))
        sender.close()
