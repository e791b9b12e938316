"""T09-T12, T18, T44: no room in the spool, none on its disk, none on PostgreSQL's; and the counters are the truth."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.chaos.checker import assert_good, check, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.senders import HttpSender, Journal, TcpSender, send_datagrams, send_tcp
from tests.chaos.server import Server

OpenDatabase = Callable[[], Database]

RECOVERY_SECONDS = 10
TINY = {"spool": {"max_bytes": "16MiB", "window_bytes": "8MiB"}}


@pytest.fixture
def mount_tmpfs(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts small file systems in memory; skips where that is not allowed."""
    mounted: list[Path] = []

    def mount(path: Path, size: str, owner: str = "0") -> Path:
        path.mkdir(mode=0o711)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711,uid={owner}", "tmpfs", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            pytest.skip(f"a tmpfs can't be mounted here ({result.stderr.strip()})")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def assert_exact(daemon: ChaosDaemon, database: Database, run: str, journal: Journal) -> None:
    """T44: every datagram sent is in the table or in a counter, and each counter says what the table says."""
    outcomes = check(stored_stamps(database, run), [journal])
    assert_good(outcomes)
    stored = outcomes[journal.sender].recovered
    received = daemon.metric("received_frames_total", input="udp")
    dropped = daemon.metric("dropped_frames_total", input="udp")
    by_kernel = daemon.metric("kernel_dropped_datagrams_total", input="udp")
    print(f"sent {journal.sent}, stored {stored}, dropped {dropped}, dropped by the kernel {by_kernel}")
    assert daemon.metric("stored_rows_total", input="udp") == stored
    assert received == stored + dropped
    assert journal.sent == received + by_kernel
    assert daemon.metric("ledger_imbalance_frames") == 0


def flood_without_database(
    server: Server, daemon: ChaosDaemon, open_database: OpenDatabase, run: str, count: int
) -> None:
    """Send more by UDP than the spool holds, and then give the database back."""
    server.stop()
    journal = send_datagrams(daemon.udp, run, "udp", count, rate=25_000, padding=900)
    assert daemon.get("/health").status == 200
    assert any("spool" in problem for problem in daemon.problems())
    server.start()
    daemon.wait_drained()
    with open_database() as database:
        assert_exact(daemon, database, run, journal)
    assert daemon.metric("dropped_frames_total", input="udp", reason="spool_full") > 0
    daemon.stop()


def test_a_udp_flood_into_a_full_spool_is_counted_to_the_last_datagram(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    flood_without_database(server, make_daemon(**TINY).start(), open_database, run, 40_000)


@pytest.mark.slow
def test_a_udp_flood_into_a_full_disk_is_counted_to_the_last_datagram(
    server: Server,
    make_daemon: MakeDaemon,
    open_database: OpenDatabase,
    run: str,
    tmp_path: Path,
    mount_tmpfs: Callable[..., Path],
) -> None:
    # The spool believes that it may have 4 GiB, and the disk has 16 MiB.
    state = mount_tmpfs(tmp_path / "small", "16m") / "state"
    flood_without_database(server, make_daemon(state).start(), open_database, run, 100_000)


def test_tcp_senders_wait_for_a_full_disk_and_nothing_is_lost(
    server: Server,
    make_daemon: MakeDaemon,
    open_database: OpenDatabase,
    run: str,
    tmp_path: Path,
    mount_tmpfs: Callable[..., Path],
) -> None:
    daemon = make_daemon(mount_tmpfs(tmp_path / "small", "16m") / "state").start()
    server.stop()
    block_and_drain(server, daemon, open_database, run)


def block_and_drain(server: Server, daemon: ChaosDaemon, open_database: OpenDatabase, run: str) -> None:
    """Send more than the disk holds; the sender waits until the database is back."""
    sent: list[Journal] = []
    count = 60_000
    sender = threading.Thread(target=lambda: sent.append(send_tcp(daemon.tcp, run, "tcp", count, padding=500)))
    sender.start()
    wait_for("the input waits", lambda: daemon.status()["inputs"]["tcp"]["waiting_for_spool"])
    assert daemon.get("/ready").status == 503
    assert daemon.metric("received_frames_total", input="tcp") < count
    server.start()
    sender.join(60)
    assert not sender.is_alive()
    daemon.wait_drained()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), sent))
    assert daemon.metric("stored_rows_total", input="tcp") == count
    assert daemon.stop()["tcp"]["dropped"] == 0


@pytest.mark.slow
def test_a_file_size_limit_is_a_full_disk(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    server.stop()
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (8 << 20, resource.RLIM_INFINITY))
    block_and_drain(server, daemon, open_database, run)


def test_http_is_told_503_while_the_disk_is_full_and_stored_once_in_the_end(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    sender = HttpSender(daemon.http, run, "http", batch=20)
    sender.start()
    wait_for("refusals", lambda: sender.refused >= 3)
    assert sender.journal.acknowledged == set()
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for("an answer", lambda: len(sender.journal.acknowledged) >= 20)
    journal = sender.finish()
    daemon.wait_drained()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    assert daemon.metric("dropped_frames_total", input="http", reason="refused") > 0
    daemon.stop()


def test_a_second_daemon_on_the_same_spool_is_refused_and_the_first_goes_on(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    second = make_daemon(daemon.spool.parent)  # on other ports
    second.launch()
    assert second.wait_exit() == 1
    assert str(daemon.spool) in second.output
    assert f"process {daemon.pid}" in second.output
    journal = send_tcp(daemon.tcp, run, "tcp", 100)
    daemon.wait_drained()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


@pytest.mark.slow
def test_a_full_disk_of_the_database_is_waited_for_without_spinning(
    server: Server,
    name: str,
    make_daemon: MakeDaemon,
    open_database: OpenDatabase,
    open_to_server: Path,
    run: str,
    mount_tmpfs: Callable[..., Path],
) -> None:
    disk = mount_tmpfs(open_to_server / f"disk-{run}", "24m", str(server.account.uid))
    server.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
    try:
        server.execute(f"ALTER DATABASE {name} SET default_tablespace = {name}")
        daemon = make_daemon().start()
        filler = disk / "filler"
        sender = TcpSender(daemon.tcp, run, "tcp", rate=4_000, padding=500)
        sender.start()
        sender.wait_sent(1_000)
        with filler.open("wb") as file:
            _fill(file.fileno())
        wait_for("the complaint", lambda: any("No space left" in problem for problem in daemon.problems()), seconds=60)
        before, began = daemon.failures(), time.monotonic()
        time.sleep(10)
        rate = (daemon.failures() - before) / (time.monotonic() - began)
        print(f"{rate:.2f} attempts a second")
        assert rate <= 3
        journal = sender.finish()
        journal.acknowledge_all()
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=True)
        daemon.wait_drained()
        with open_database() as database:
            assert_good(check(stored_stamps(database, run), [journal]))
        daemon.stop()
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP TABLESPACE {name}")
        server.execute(f"CREATE DATABASE {name}")  # for the fixture to drop


def _fill(descriptor: int) -> None:
    try:
        while True:
            os.write(descriptor, bytes(1 << 20))
    except OSError:
        return
