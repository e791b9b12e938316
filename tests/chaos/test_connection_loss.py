"""T13-T16: PostgreSQL stops, dies, ends connections, or falls silent, under load; an ambiguous commit is resolved."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from logstreamd.metrics import Metrics
from logstreamd.storage.session import Health, Session
from logstreamd.storage.transaction import transaction
from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.chaos.checker import assert_good, check, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.proxy import Action, Proxy, is_commit, is_copy_data
from tests.chaos.senders import TcpSender, send_tcp
from tests.chaos.server import Server

OpenDatabase = Callable[[], Database]

RECOVERY_SECONDS = 10  # from the moment the database is back to the first commit, and a small backlog's end
TERMINATE_WRITERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'logstreamd writer'
"""


@contextmanager
def under_load(daemon: ChaosDaemon, open_database: OpenDatabase, run: str, rate: int = 4_000) -> Iterator[TcpSender]:
    """Send while the block runs; in the end everything is stored once and in order, without a restart."""
    sender = TcpSender(daemon.tcp, run, "tcp", rate=rate, padding=100)
    daemon.start()
    sender.start()
    sender.wait_sent(1_000)
    yield sender
    journal = sender.finish()
    assert len(journal.streams) == 1, "the daemon closed the connection"
    journal.acknowledge_all()
    daemon.wait_drained()
    with open_database() as database:
        outcomes = check(stored_stamps(database, run), [journal])
    print(outcomes["tcp"])
    assert_good(outcomes)
    assert daemon.stop()["tcp"]["dropped"] == 0


def restart_again_and_again(server: Server, modes: list[str], pause_seconds: float) -> None:
    for mode in modes:
        time.sleep(pause_seconds)  # load in between
        server.stop(mode)
        server.start()


def test_a_server_that_is_killed_or_stopped_under_load_costs_nothing(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon()
    with under_load(daemon, open_database, run):
        restart_again_and_again(server, ["immediate", "fast"], 0.3)
        wait_for("the database is up again", lambda: daemon.status()["database"]["up"], seconds=RECOVERY_SECONDS)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("modes", [["immediate"] * 25, ["fast", "smart"] * 10], ids=["immediate", "fast and smart"])
def test_a_minute_of_restarts_costs_nothing(
    server: Server, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, modes: list[str]
) -> None:
    daemon = make_daemon()
    with under_load(daemon, open_database, run):
        restart_again_and_again(server, modes, 2.0)
        wait_for("the database is up again", lambda: daemon.status()["database"]["up"], seconds=RECOVERY_SECONDS)


@pytest.mark.slow
def test_terminated_writers_connect_again_and_store_everything_once(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon()
    with under_load(daemon, open_database, run), open_database() as database:
        terminated = 0
        for _ in range(6):
            time.sleep(0.2)
            ((count,),) = database.fetch(TERMINATE_WRITERS)
            terminated += count
        assert terminated > 0


@pytest.mark.parametrize("action", [Action.CUT_AFTER, Action.CUT_BEFORE], ids=["committed", "not committed"])
def test_a_connection_lost_during_commit_is_resolved_by_the_marker(
    proxy: Proxy, name: str, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, action: Action
) -> None:
    daemon = make_daemon(dsn=proxy.dsn(name))
    commits = 0

    def decide(kind: bytes, body: bytes) -> Action:
        nonlocal commits
        commits += is_commit(kind, body)
        return action if is_commit(kind, body) and commits % 2 else Action.FORWARD

    with under_load(daemon, open_database, run):
        proxy.decide = decide
        wait_for("ten commits", lambda: commits >= 10)
        proxy.decide = lambda _kind, _body: Action.FORWARD
        repeated = daemon.metric("repeated_batches_total")
        assert repeated > 0 if action is Action.CUT_AFTER else repeated == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_minute_of_lost_commits_costs_nothing(
    proxy: Proxy, name: str, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, rng: random.Random
) -> None:
    daemon = make_daemon(dsn=proxy.dsn(name))
    actions = [Action.CUT_AFTER, Action.CUT_BEFORE, Action.FORWARD, Action.FORWARD]

    def decide(kind: bytes, body: bytes) -> Action:
        return rng.choice(actions) if is_commit(kind, body) else Action.FORWARD

    with under_load(daemon, open_database, run):
        proxy.decide = decide
        time.sleep(60)
        proxy.decide = lambda _kind, _body: Action.FORWARD
        assert daemon.metric("repeated_batches_total") > 0


def fall_silent_once(proxy: Proxy, action: Action, where: Callable[[bytes, bytes], bool]) -> threading.Event:
    """Let one connection of the writer fall silent at the first message of this kind; the others work."""
    silent = threading.Event()

    def decide(kind: bytes, body: bytes) -> Action:
        if silent.is_set() or not where(kind, body):
            return Action.FORWARD
        silent.set()
        return action

    proxy.decide = decide
    return silent


@pytest.mark.parametrize(
    ("action", "where"),
    [
        pytest.param(Action.SILENCE, is_copy_data, id="silent in the middle of COPY"),
        pytest.param(Action.FREEZE, is_copy_data, id="zombie in the middle of COPY"),
        pytest.param(Action.FREEZE, is_commit, id="zombie before COMMIT"),
    ],
)
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_connection_that_falls_silent_is_given_up_in_bounded_time(
    proxy: Proxy,
    name: str,
    make_daemon: MakeDaemon,
    open_database: OpenDatabase,
    run: str,
    action: Action,
    where: Callable[[bytes, bytes], bool],
) -> None:
    # One second for a statement and ten for its answer; then the next connection ends what the server has left of the
    # silent one, which holds the batch's marker and may not know that its client is gone.
    daemon = make_daemon(database={"dsn": proxy.dsn(name), "statement_timeout_seconds": 1}, writer={"connections": 1})
    daemon.start()
    silent = fall_silent_once(proxy, action, where)
    journal = send_tcp(daemon.tcp, run, "tcp", 2_000)
    wait_for("the silence", silent.is_set)
    daemon.wait_drained(seconds=40)
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


async def test_a_session_gives_up_a_silent_connection_and_ends_what_the_server_has_left_of_it(
    proxy: Proxy, name: str
) -> None:
    settings = {"application_name": "logstreamd test"}
    session = Session(
        lambda: asyncpg.connect(proxy.dsn(name), command_timeout=0.5, server_settings=settings),
        Health(Metrics(version="test", wire="python")),
    )
    await session.run(lambda connection: connection.execute("CREATE TABLE marks (seq integer PRIMARY KEY)"))

    async def mark(connection: asyncpg.Connection) -> None:
        async with transaction(connection):
            await connection.execute("INSERT INTO marks VALUES (1)")

    silent = fall_silent_once(proxy, Action.FREEZE, is_commit)
    with pytest.raises(TimeoutError):
        await session.run(mark)
    assert silent.is_set()
    await session.run(mark)  # at once: the zombie that held the mark is gone
    await session.close()


def test_a_stop_does_not_wait_for_a_connection_that_fell_silent(
    proxy: Proxy, name: str, make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon(database={"dsn": proxy.dsn(name)}, writer={"connections": 1, "drain_timeout_seconds": 1})
    daemon.start()
    silent = fall_silent_once(proxy, Action.SILENCE, is_copy_data)
    journal = send_tcp(daemon.tcp, run, "tcp", 2_000)
    wait_for("the silence", silent.is_set)
    assert daemon.stop()["tcp"]["spooled"] == 2_000
    daemon.start()
    daemon.wait_drained()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()
