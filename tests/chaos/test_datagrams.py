"""T22-T24, T37, T44: UDP, where nobody can be told to wait: what is lost is counted, to the datagram."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from statistics import quantiles

import pytest

from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.chaos.checker import assert_good, check, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.senders import Journal, send_datagrams

OpenDatabase = Callable[[], Database]

MEMORY_BYTES = 512 << 20
SIZES = [1, 480, 1_180, 2_048, 8_192, 65_507]
FILLINGS = {"text": b"x", "NUL": b"\0", "line feeds": b"a\n", "binary": bytes(range(256))}


def assert_exact(daemon: ChaosDaemon, open_database: OpenDatabase, run: str, *journals: Journal) -> None:
    """``sent = stored + dropped by us + dropped by the kernel``, and the table says the same as the counters."""
    with open_database() as database:
        outcomes = check(stored_stamps(database, run), journals)
    assert_good(outcomes)
    sent = sum(journal.sent for journal in journals)
    stored = sum(outcome.recovered for outcome in outcomes.values())
    dropped = daemon.metric("dropped_frames_total", input="udp")
    by_kernel = daemon.metric("kernel_dropped_datagrams_total", input="udp")
    print(f"sent {sent}, stored {stored}, dropped {dropped}, dropped by the kernel {by_kernel}")
    assert daemon.metric("stored_rows_total", input="udp") == stored
    assert daemon.metric("received_frames_total", input="udp") == stored + dropped
    assert sent == stored + dropped + by_kernel
    assert daemon.metric("ledger_imbalance_frames") == 0


@pytest.mark.parametrize("receive_buffer", ["64KiB", "16MiB"])
def test_a_burst_of_fifty_thousand_is_stored_or_counted(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, receive_buffer: str
) -> None:
    daemon = make_daemon(receive_buffer=receive_buffer).start()
    journal = send_datagrams(daemon.udp, run, "burst", 50_000)
    daemon.wait_settled("udp", journal.sent)
    assert_exact(daemon, open_database, run, journal)
    if receive_buffer == "64KiB":
        assert daemon.metric("kernel_dropped_datagrams_total", input="udp") > 0
    daemon.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("receive_buffer", ["64KiB", "16MiB"])
def test_a_minute_of_flood_is_stored_or_counted_and_questions_are_answered(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, receive_buffer: str
) -> None:
    daemon = make_daemon(receive_buffer=receive_buffer).start()
    journals: list[Journal] = []
    until = time.monotonic() + 60

    def flood() -> None:
        while time.monotonic() < until:
            journals.append(send_datagrams(daemon.udp, run, str(len(journals)), 20_000))

    sender = threading.Thread(target=flood)
    sender.start()
    answers: dict[str, list[float]] = {"/status": [], "/metrics": [], "/api/v1/logs": []}
    while sender.is_alive():
        for path, seconds in answers.items():
            began = time.monotonic()
            assert daemon.get(path).status == 200
            seconds.append(time.monotonic() - began)
        sender.join(0.2)
    daemon.wait_settled("udp", sum(journal.sent for journal in journals))
    assert_exact(daemon, open_database, run, *journals)
    p99 = {path: quantiles(seconds, n=100)[98] for path, seconds in answers.items()}
    print(f"p99 in seconds {p99}, {daemon.peak_bytes() >> 20} MiB resident at most")
    assert max(p99["/status"], p99["/metrics"]) < 1
    assert daemon.peak_bytes() < MEMORY_BYTES
    daemon.stop()


def test_a_datagram_of_any_size_and_content_is_one_row_and_an_empty_one_is_none(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    sent = [(filling * size)[:size] for filling in FILLINGS.values() for size in SIZES]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing, open_database() as database:
        outgoing.connect(daemon.udp)
        for number, datagram in enumerate(sent, 1):
            outgoing.send(b"")
            outgoing.send(datagram)
            wait_for("the datagram", lambda number=number: daemon.ledger("udp")["received"] >= number)
        daemon.wait_drained()
        rows = database.fetch("SELECT message, attrs #> '{logstreamd,flags}' FROM logs ORDER BY id")
    assert len(rows) == len(sent) == daemon.metric("received_frames_total", input="udp")
    for datagram, (message, flags) in zip(sent, rows, strict=True):
        kept = datagram.rstrip(b"\r\n\0")
        assert flags or message.encode() == kept, (len(datagram), message[:80])
    daemon.stop()


def test_datagrams_of_one_source_keep_their_order_across_a_kill(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    with open_database() as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        first = send_datagrams(daemon.udp, run, "source", 10_000, rate=20_000)
        wait_for("all in the spool", lambda: daemon.ledger("udp")["spooled"] == first.sent)
        daemon.kill()
        database.execute("ROLLBACK")
    daemon.start()
    daemon.wait_drained()
    first.acknowledge_all()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [first]))
    daemon.stop()
