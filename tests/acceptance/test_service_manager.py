"""Under a service manager: inherited sockets lose nothing across a restart, and signs of life mean something."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGHUP

import pytest

from logstreamd.inputs.kernel_drops import kernel_drops
from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import DaemonProcess
from tests.acceptance.database import Database
from tests.acceptance.reloading import Reloading
from tests.acceptance.senders import Address, numbered_lines, send_stream
from tests.acceptance.service_manager import ServiceManager
from tests.notify_socket import NotifySocket

StartDaemon = Callable[..., DaemonProcess]
Manage = Callable[..., ServiceManager]

_CONNECTIONS = 50


@pytest.fixture
def manage() -> Iterator[Manage]:
    """Makes service managers that open sockets on loopback; ``addresses`` of the fixture says where."""
    made: list[ServiceManager] = []

    def make(*sockets: tuple[str, socket.socket], **variables: str) -> ServiceManager:
        made.append(ServiceManager(sockets, variables))
        return made[-1]

    yield make
    for one in made:
        one.close()


def datagram_socket() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)  # which net.core.rmem_max may cut short
    sock.bind(("127.0.0.1", 0))
    return sock


def text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"


class SteadySender(threading.Thread):
    """Sends numbered datagrams, some 2,000 a second, until it is told to stop."""

    def __init__(self, to: Address, service: str) -> None:
        super().__init__(name="steady sender", daemon=True)
        self._to = to
        self._service = service
        self._stop_now = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            while not self._stop_now.wait(0.005):
                for message in numbered_lines(self._service, 10, first=self.sent):
                    sock.sendto(message, self._to)
                self.sent += 10

    def stop(self) -> int:
        self._stop_now.set()
        self.join(30)
        return self.sent


def connect_often(to: Address, service: str, *, first: int) -> int:
    """Open connections with one message each, and close them without waiting for anybody."""
    for number in range(first, first + _CONNECTIONS):
        send_stream(to, numbered_lines(service, 1, first=number))
    return first + _CONNECTIONS


@pytest.mark.parametrize("restarts", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_restart_with_inherited_sockets_loses_no_datagram_and_no_connection(
    make_daemon: StartDaemon, manage: Manage, tmp_path: Path, restarts: int
) -> None:
    datagrams, streams, http = datagram_socket(), *(socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    streams.listen(2 * _CONNECTIONS)
    udp, tcp, web = (sock.getsockname() for sock in (datagrams, streams, http))
    inode = os.fstat(datagrams.fileno()).st_ino
    with NotifySocket(tmp_path / "notify") as notify:
        daemon = make_daemon(
            inputs=[{"type": "udp", "listen": text(udp)}, {"type": "tcp", "listen": text(tcp)}],
            settings={"http": {"listen": text(web)}},
            service_manager=manage(("u", datagrams), ("t", streams), ("h", http), NOTIFY_SOCKET=notify.address),
        )
        sender = SteadySender(udp, "steady")
        sender.start()
        connected = connect_often(tcp, "waits", first=0)  # before there is a daemon
        daemon.start()
        notify.wait_for("READY=1")
        connected = connect_often(tcp, "waits", first=connected)
        with Database(daemon.psql) as database:
            for _ in range(restarts):
                database.wait_for_rows("waits", connected)
                daemon.signal(SIGHUP)
                notify.wait_for("RELOADING=1")
                notify.wait_for("READY=1")
                daemon.stop()
                notify.wait_for("STOPPING=1")
                connected = connect_often(tcp, "waits", first=connected)
                assert daemon.start().get("/health").status == 200
                notify.wait_for("READY=1")
            sent = sender.stop()
            dropped = kernel_drops({inode}).get(inode, 0)
            # A machine that is busy with other things may need longer for a start than the buffer lasts.
            database.wait_for_rows("steady", sent - dropped)
            stored = database.fetch("SELECT count(*), count(DISTINCT message) FROM logs WHERE service = 'steady'")
            assert stored == [(sent - dropped, sent - dropped)]
            database.wait_for_rows("waits", connected)
            database.assert_each_once("waits", connected)
        daemon.stop()


def test_an_inherited_socket_that_nothing_reads_ends_the_start_with_what_to_configure(
    make_daemon: StartDaemon, manage: Manage
) -> None:
    unread = datagram_socket()
    host, port = unread.getsockname()
    daemon = make_daemon(service_manager=manage(("syslog-udp", unread)))
    daemon.launch()
    assert daemon.wait_exit() == 1
    assert daemon.output.endswith(
        f"Error: nothing reads the inherited sockets udp {host}:{port} (syslog-udp): "
        f'add an input of type udp with listen: "{host}:{port}", or take them out of the socket unit\n'
    )


def test_inherited_sockets_change_hands_at_a_reload_and_come_back(make_daemon: StartDaemon, manage: Manage) -> None:
    first, second = datagram_socket(), datagram_socket()
    addresses = [sock.getsockname() for sock in (first, second)]
    one, other = ({"type": "udp", "name": name, "listen": text(to)} for name, to in zip("ab", addresses, strict=True))
    daemon = make_daemon(inputs=[one, other], service_manager=manage(("one", first), ("other", second)))
    reloading = Reloading(daemon.start())
    reloading.apply(inputs=[{**one, "name": "c"}, other])
    assert daemon.events("an inherited socket is left alone") == []
    reloading.apply(inputs=[{**one, "name": "c"}])
    (warning,) = daemon.events("an inherited socket is left alone")
    assert f"udp {text(addresses[1])} (other): add an input of type udp" in warning["problem"]
    with socket.socket(type=socket.SOCK_DGRAM) as sender, Database(daemon.psql) as database:
        for number, message in enumerate(numbered_lines("both", 20)):  # half of them to nobody
            sender.sendto(message, addresses[number % 2])
        database.wait_for_rows("both", 10)
        reloading.apply(inputs=[{**one, "name": "c"}, other])
        database.wait_for_rows("both", 20)
        database.assert_each_once("both", 20)
    daemon.stop()


def test_signs_of_life_go_on_without_a_database_and_end_with_the_thread_that_keeps_the_spool(
    make_daemon: StartDaemon, postgres: EmbeddedPostgres, manage: Manage, tmp_path: Path
) -> None:
    with NotifySocket(tmp_path / "notify") as notify, Database(postgres.dsn("postgres")) as server:
        server.execute("CREATE DATABASE shut_down")
        daemon = make_daemon(
            dsn=postgres.dsn("shut_down"),
            environment={"LOGSTREAMD_FAULT": "spool.committed:1:sleep:3600"},
            service_manager=manage(NOTIFY_SOCKET=notify.address, WATCHDOG_USEC="400000"),
        )
        daemon.start()
        notify.wait_for("READY=1")
        assert notify.wait_for("WATCHDOG=1")[1].endswith(" rows/s")
        server.execute(
            "ALTER DATABASE shut_down ALLOW_CONNECTIONS false;"
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shut_down'"
        )
        assert notify.wait_for("STATUS=database: ")[0] == "WATCHDOG=1"
        send_stream(daemon.address("tcp"), numbered_lines("stuck", 1))
        notify.wait_for("STATUS=the spool's thread does not answer")
        assert all(notify.next() == ["STATUS=the spool's thread does not answer"] for _ in range(3))
        daemon.kill()
        server.execute("DROP DATABASE shut_down WITH (FORCE)")
