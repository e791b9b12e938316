"""T01-T03, T37: SIGKILL at named points and at random moments, under load, again and again on the same data.

What was in the spool or in the table when the daemon died is what it has to answer for over TCP; over HTTP it is what
it had answered with 200.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logstreamd import faults
from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.chaos.checker import assert_good, check, spooled_stamps, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.messages import Stamp, stamped
from tests.chaos.senders import HttpSender, Journal, TcpSender, post, send_tcp

OpenDatabase = Callable[[], Database]

# spool.set_aside is reached only by a corrupt spool, alerts.* only with rules: those have tests of their own.
POINTS = sorted(point for point in faults.POINTS - {"spool.set_aside"} if not point.startswith("alerts."))
SMALL: dict[str, Any] = {"spool": {"max_bytes": "16MiB", "window_bytes": "8MiB"}}  # its log is moved over often
# What one kill may cost a TCP sender: the daemon's batches on their way to the spool (one open, four sealed, one
# submitted, 2 MiB each) and the kernel's buffers of one loopback connection (6 MiB to receive, 4 MiB to send at most).
LOST_BYTES = 6 * (2 << 20) + (10 << 20)
PADDING = 1_000  # batches of several COPY chunks, so that pg.copy_half is reached


def assert_nothing_went_missing(database: Database, run: str, tcp: Journal, *others: Journal) -> None:
    """Check every sender; a TCP connection may have lost its end, and nothing before it."""
    stored = list(stored_stamps(database, run))
    outcomes = check(stored, [tcp, *others])
    print({sender: str(outcome) for sender, outcome in outcomes.items()})
    assert_good(outcomes)
    numbers = {stamp.number for stamp in stored if stamp.sender == tcp.sender}
    assert tcp.holes(numbers) == []
    assert max(tcp.tails(numbers)) * (PADDING + 100) <= LOST_BYTES


def fault_at(point: str, rng: random.Random, *, most: int) -> str:
    """Return a plan that kills at some hit of a point; a checkpoint comes once in several MiB."""
    fault = f"{point}:{rng.randint(1, 2 if point == 'spool.before_checkpoint' else most)}:kill"
    print(fault)
    return fault


class Siege:
    """A daemon under TCP and HTTP load that is killed and started again."""

    def __init__(self, daemon: ChaosDaemon, open_database: OpenDatabase, run: str) -> None:
        self._daemon = daemon
        self._open_database = open_database
        self._run = run
        self.tcp = TcpSender(daemon.tcp, run, "tcp", rate=3_000, padding=PADDING)
        self.http = HttpSender(daemon.http, run, "http", pause_seconds=0.01)

    def begin(self) -> None:
        """Make the schema, so that a kill can come at any time, and start to send."""
        self._daemon.start()
        self._daemon.kill()
        self.tcp.start()
        self.http.start()

    def note(self) -> None:
        """The daemon is dead: see what it has to answer for."""
        with self._open_database() as database:
            durable = [*stored_stamps(database, self._run), *spooled_stamps(self._daemon.spool)]
        self.tcp.journal.acknowledged |= {stamp.number for stamp in durable if stamp.sender == "tcp"}

    def end(self) -> None:
        """Start it a last time, let the senders finish, and check."""
        self._daemon.arm("")
        self._daemon.start()
        tcp, http = self.tcp.finish(), self.http.finish()
        self._daemon.wait_drained()
        with self._open_database() as database:
            assert_nothing_went_missing(database, self._run, tcp, http)
        assert http.acknowledged == set(range(http.sent))
        self._daemon.stop()


def test_a_kill_at_every_fault_point_in_turn_loses_and_doubles_nothing(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, rng: random.Random
) -> None:
    daemon = make_daemon(**SMALL)
    siege = Siege(daemon, open_database, run)
    siege.begin()
    for point in rng.sample(POINTS, len(POINTS)):
        daemon.arm(fault_at(point, rng, most=10))
        daemon.launch()
        daemon.wait_killed()
        siege.note()
    siege.end()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", POINTS)
def test_three_kills_at_one_fault_point_lose_and_double_nothing(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, rng: random.Random, point: str
) -> None:
    daemon = make_daemon(**SMALL)
    siege = Siege(daemon, open_database, run)
    siege.begin()
    for _ in range(3):
        daemon.arm(fault_at(point, rng, most=200))
        daemon.launch()
        daemon.wait_killed()
        siege.note()
    siege.end()


def kill_at_random_moments(
    daemon: ChaosDaemon, open_database: OpenDatabase, run: str, rng: random.Random, rounds: int
) -> None:
    siege = Siege(daemon, open_database, run)
    siege.begin()
    for number in range(rounds):
        daemon.launch()
        # The moment is the point: from the middle of the start to well into the load.
        time.sleep(rng.uniform(0.3, 2.0))
        daemon.kill()
        if number % 10 == 0 or rounds < 10:  # reading the whole table takes longer every time
            siege.note()
    siege.end()


def test_kills_at_random_moments_lose_and_double_nothing(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, rng: random.Random
) -> None:
    kill_at_random_moments(make_daemon(**SMALL), open_database, run, rng, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_kills_at_random_moments_lose_and_double_nothing(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, rng: random.Random
) -> None:
    kill_at_random_moments(make_daemon(**SMALL), open_database, run, rng, 50)


def test_requests_without_a_key_are_stored_once_when_answered_and_at_most_once_otherwise(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, rng: random.Random
) -> None:
    daemon = make_daemon(**SMALL)
    sender = HttpSender(daemon.http, run, "keyless", keys=False)
    daemon.start()
    sender.start()
    for _ in range(2):
        sender.wait_sent(sender.journal.sent + rng.randint(500, 3_000))
        daemon.kill()
        daemon.start()
    journal = sender.finish()
    daemon.wait_drained()
    with open_database() as database:
        outcomes = check(stored_stamps(database, run), [journal])
    assert_good(outcomes)
    assert outcomes["keyless"].ok == len(journal.acknowledged) > 0
    daemon.stop()


@pytest.mark.parametrize("answered", [True, False])
def test_a_retry_that_hits_the_restarted_daemon_is_stored_once(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, answered: bool
) -> None:
    body = b"\n".join(
        b'{"service": "chaos", "message": "%s"}' % stamped(Stamp(run, "retry", number)).encode()
        for number in range(100)
    )
    accepted = (200, {"accepted": 100, "rejected": []})
    daemon = make_daemon()
    daemon.arm("" if answered else "http.before_ack:1:kill")
    daemon.start()
    if answered:
        assert post(daemon.http, body, key="once") == accepted
        daemon.wait_drained()
        daemon.kill()
    else:
        with pytest.raises(OSError):
            post(daemon.http, body, key="once")
        daemon.wait_killed()
    daemon.arm("")
    daemon.start()
    for _ in range(3):
        assert post(daemon.http, body, key="once") == accepted
    daemon.wait_drained()
    with open_database() as database:
        journal = Journal("retry", sent=100, acknowledged=set(range(100)))
        assert_good(check(stored_stamps(database, run), [journal]))
    daemon.stop()


def test_a_kill_while_a_corrupt_spool_is_salvaged_loses_nothing_that_could_be_read(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon()
    daemon.start()
    with open_database() as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        journal = send_tcp(daemon.tcp, run, "salvaged", 20_000)
        wait_for("all in the spool", lambda: daemon.ledger("tcp")["spooled"] == 20_000)
        daemon.kill()
        database.execute("ROLLBACK")
        _destroy_first_page(daemon.spool / "spool.db")
        daemon.arm("spool.set_aside:1:kill")
        daemon.launch()
        daemon.wait_killed()
        daemon.arm("")
        daemon.start()
        daemon.wait_drained()
        assert_good(check(stored_stamps(database, run), [journal]))
    assert list(daemon.spool.glob("spool.db.corrupt-*")), "the corrupt file was not kept"
    daemon.stop()


def _destroy_first_page(file: Path) -> None:
    with file.open("r+b") as database:
        database.write(bytes(4096))
