"""T17-T19, T35: the database is away, locked, read-only, full or refuses us, and the daemon goes on receiving."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.chaos.checker import assert_good, check, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.proxy import Proxy
from tests.chaos.senders import TcpSender, send_tcp
from tests.chaos.server import Server

OpenDatabase = Callable[[], Database]

RECOVERY_SECONDS = 10
MEMORY_BYTES = 256 << 20  # resident at most, with the default window of 64 MiB full
END_CONNECTIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = '{name}' AND application_name LIKE 'logstreamd %'
"""


@contextmanager
def outage(daemon: ChaosDaemon, open_database: OpenDatabase, run: str, problem: str) -> Iterator[None]:
    """The database was just broken: messages are spooled and ``/ready`` names the problem until the block repairs it.

    Args:
        problem: what is to be read there.
    """
    journal = send_tcp(daemon.tcp, run, "during", 1_000)
    wait_for("all in the spool", lambda: daemon.ledger("tcp")["spooled"] == 1_000)
    wait_for(f"{problem!r} in /ready", lambda: any(problem in said for said in daemon.problems()))
    assert daemon.get("/health").status == 200
    for _ in range(20):  # and goes on to name it, whatever else the database still answers
        assert daemon.get("/ready").status == 503
        time.sleep(0.05)
    assert daemon.metric("database_up") == 0
    yield
    daemon.wait_drained(seconds=RECOVERY_SECONDS)
    wait_for("readiness", lambda: daemon.get("/ready").status == 200, seconds=RECOVERY_SECONDS)
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


def test_a_daemon_that_starts_without_its_database_spools_and_stores_when_it_comes(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon()
    server.stop()
    daemon.start_up()
    with outage(daemon, open_database, run, "database"):
        server.start()


def test_a_wrong_password_is_named_and_the_right_one_helps_without_a_restart(
    server: Server, proxy: Proxy, name: str, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'right'; ALTER DATABASE {name} OWNER TO {name}")
    access = server.pgdata / "pg_hba.conf"
    trusting = access.read_text()
    try:
        access.write_text(f"local all {name} scram-sha-256\n{trusting}")
        server.reload()
        daemon = make_daemon(dsn=proxy.dsn(name, user=name, password="right")).start()
        server.execute(f"ALTER ROLE {name} PASSWORD 'changed'")
        server.execute(END_CONNECTIONS.format(name=name))
        with outage(daemon, open_database, run, "password authentication failed"):
            assert daemon.metric("store_failures_total", kind="configuration") > 0
            server.execute(f"ALTER ROLE {name} PASSWORD 'right'")
        assert "right" not in daemon.output
    finally:
        access.write_text(trusting)
        server.reload()
        server.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        server.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}", database=name)
        server.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("broken", "repaired", "problem"),
    [
        pytest.param(
            "ALTER TABLE logs RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO logs",
            'relation "logs" does not exist',
            id="missing table",
        ),
        pytest.param(
            "DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP TABLE %s', inhrelid::regclass), ';')"
            " FROM pg_inherits WHERE inhparent = 'logs'::regclass); END $$",
            "CREATE TABLE logs_default PARTITION OF logs DEFAULT",
            "no partition of relation",
            id="missing partitions",
        ),
        pytest.param(
            "ALTER DATABASE {name} SET default_transaction_read_only = on",
            "BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT",
            "read-only transaction",
            id="read-only",
        ),
    ],
)
def test_what_a_person_has_to_repair_is_named_and_recovers_without_a_restart(
    server: Server,
    name: str,
    make_daemon: MakeDaemon,
    open_database: OpenDatabase,
    run: str,
    broken: str,
    repaired: str,
    problem: str,
) -> None:
    daemon = make_daemon().start()
    server.execute(broken.format(name=name), database=name)
    server.execute(END_CONNECTIONS.format(name=name))
    with outage(daemon, open_database, run, problem):
        server.execute(repaired.format(name=name), database=name)


def test_a_long_outage_costs_few_attempts_and_little_memory_and_is_read_back_in_order(
    server: Server, proxy: Proxy, name: str, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    # 100 MB come in and 16 MiB may stay in memory: most of it is read back from the disk.
    daemon = make_daemon(dsn=proxy.dsn(name), spool={"window_bytes": "16MiB"}).start()
    before = daemon.peak_bytes()
    server.stop()
    journal = send_tcp(daemon.tcp, run, "tcp", 25_000, padding=3_900)
    wait_for("all in the spool", lambda: daemon.ledger("tcp")["spooled"] == 25_000)
    wait_for("an open breaker", lambda: daemon.status()["database"]["breaker_open"])
    attempts, began = proxy.accepted, time.monotonic()
    time.sleep(3)
    rate = (proxy.accepted - attempts) / (time.monotonic() - began)
    grown = daemon.peak_bytes() - before
    print(f"{rate:.2f} attempts a second, {grown >> 20} MiB more resident")
    assert rate <= 3  # two writers and the keeper: one a second each
    assert daemon.peak_bytes() <= MEMORY_BYTES
    server.start()
    daemon.wait_drained()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_half_a_minute_behind_a_lock_loses_nothing_and_is_over_ten_seconds_after_it(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    sender = TcpSender(daemon.tcp, run, "tcp", rate=4_000, padding=200)
    sender.start()
    with open_database() as database:
        database.execute("BEGIN; LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        locked_until = time.monotonic() + 30
        wait_for("a complaint", lambda: any("lock" in problem for problem in daemon.problems()))
        time.sleep(locked_until - time.monotonic())
        database.execute("COMMIT")
    wait_for("readiness", lambda: daemon.get("/ready").status == 200, seconds=RECOVERY_SECONDS)
    journal = sender.finish()
    journal.acknowledge_all()
    daemon.wait_drained(seconds=RECOVERY_SECONDS)
    assert daemon.peak_bytes() <= MEMORY_BYTES
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


@pytest.mark.parametrize("database_is", ["down"])
def test_a_stop_under_load_is_in_time_and_loses_nothing_it_had_read(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, database_is: str
) -> None:
    stop_under_load(server, make_daemon, open_database, run, database_is, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_is", ["up", "down", "slow"])
def test_twenty_stops_under_load_are_in_time_and_lose_nothing_they_had_read(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, database_is: str
) -> None:
    stop_under_load(server, make_daemon, open_database, run, database_is, rounds=20)


def stop_under_load(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, database_is: str, rounds: int
) -> None:
    # A second to drain; with the inputs' second and the spool's flush it must not take much more than ten.
    daemon = make_daemon(writer={"drain_timeout_seconds": 1}).start()
    daemon.stop()
    sender = TcpSender(daemon.tcp, run, "tcp", rate=5_000)
    sender.start()
    received = 0
    for _ in range(rounds):
        daemon.start()
        sender.wait_sent(sender.journal.sent + 1_000)
        with open_database() as database:
            if database_is == "slow":
                database.execute("BEGIN; LOCK TABLE spool_marks")
            elif database_is == "down":
                server.stop("immediate")
            sender.wait_sent(sender.journal.sent + 1_000)
            began = time.monotonic()
            received += daemon.stop()["tcp"]["received"]
            assert time.monotonic() - began < 15
        if database_is == "down":
            server.start()
    daemon.start()
    journal = sender.finish()
    daemon.wait_drained()
    received += daemon.stop()["tcp"]["received"]
    with open_database() as database:
        stored = list(stored_stamps(database, run))
        ((rows,),) = database.fetch("SELECT count(*) FROM logs")
    assert_good(check(stored, [journal]))
    assert journal.holes({stamp.number for stamp in stored}) == []
    assert rows == received  # halves of messages at the end of a connection included


def test_an_embedded_postgres_that_is_killed_is_started_again_and_nothing_is_lost(
    make_daemon: MakeDaemon, open_to_server: Path, run: str
) -> None:
    daemon = make_daemon(open_to_server / f"state-{run}", dsn="embedded").start()
    sender = TcpSender(daemon.tcp, run, "tcp", rate=4_000)
    sender.start()
    pid_file = open_to_server / f"state-{run}/postgres/pgdata/postmaster.pid"
    sender.wait_sent(2_000)
    for _ in range(2):  # the second time while it recovers
        pid = postmaster_pid(pid_file)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for("another server", lambda pid=pid: postmaster_pid(pid_file) not in (None, pid))
    sender.wait_sent(sender.journal.sent + 2_000)
    journal = sender.finish()
    journal.acknowledge_all()
    daemon.wait_drained()
    with Database(daemon.psql) as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


def postmaster_pid(file: Path) -> int | None:
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
