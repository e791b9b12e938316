"""T20, T21: rows that cannot be stored as they are, alone and among good ones, wherever they stand in their batch."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.acceptance.database import Database
from tests.chaos.checker import assert_good, check, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.messages import Stamp, frame
from tests.chaos.senders import Journal

OpenDatabase = Callable[[], Database]

# Full or not at all: so that a test knows where in its batch a row stands.
BATCH_ROWS = 1_000
IN_BATCHES = {"writer": {"batch_max_rows": BATCH_ROWS, "batch_max_age_seconds": 1}}

# What PostgreSQL would refuse, or the driver, if it came to them as it is.
HOSTILE = {
    "NUL in a text": b"<14>1 - h hostile - - - a\0b",
    "invalid UTF-8": b"<14>1 - h hostile - - - \xff\xfe \xed\xa0\x80",
    "control characters": b"<14>1 - h hostile - - - \x01\x02\x1b[31m\x7f",
    "escaped NUL in a JSON value": b'{"service": "hostile", "message": "m", "a": "x\\u0000y"}',
    "escaped NUL in a JSON key": b'{"service": "hostile", "message": "m", "x\\u0000y": 1}',
    "a lone surrogate": b'{"service": "hostile", "message": "m", "a": "\\ud800", "b": "\\udc00"}',
    "not a number": b'{"service": "hostile", "message": "m", "a": NaN, "b": Infinity}',
    "a number without end": b'{"service": "hostile", "message": "m", "a": 1e400000}',
    "a number of 60,000 digits": b'{"service": "hostile", "message": "m", "a": ' + b"9" * 60_000 + b"}",
    "JSON 20,000 deep": b'{"service": "hostile", "message": "m", "a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a time before all times": b'{"service": "hostile", "message": "m", "timestamp": "0001-01-01T00:00:00+14:00"}',
    "a time after all times": b'{"service": "hostile", "message": "m", "timestamp": "9999-12-31T23:59:59-12:00"}',
    "a level that is none": b'{"service": "hostile", "message": "m", "level": 40000}',
    "a name no index takes": b'{"level": "error", "message": "m", "service": "hostile'
    + bytes(range(97, 123)) * 400
    + b'"}',
}

REFUSALS = {
    # Both are seen by COPY with the number of the line, the second only when the row's index entries are made.
    "a check": "ALTER TABLE logs ADD CHECK (message NOT LIKE '%poison%')",
    "an index": "CREATE INDEX ON logs ((1 / CASE WHEN message LIKE '%poison%' THEN 0 ELSE 1 END))",
    # A trigger's error has no line of its own to point at.
    "a trigger": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = '22000', MESSAGE = 'refused'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON logs FOR EACH ROW
            WHEN (NEW.message LIKE '%poison%') EXECUTE FUNCTION refuse()""",
}

PLACES = {
    "alone": (1, {0}),
    "first": (BATCH_ROWS, {0}),
    "last": (BATCH_ROWS, {BATCH_ROWS - 1}),
    "two in a batch": (BATCH_ROWS, {17, 18}),
    "one in a thousand": (3 * BATCH_ROWS, {500, 1_500, 2_500}),
    "every one": (BATCH_ROWS, set(range(BATCH_ROWS))),
}


def send(daemon: ChaosDaemon, frames: list[bytes]) -> None:
    """Send frames over one connection, octet-counted: some hold bytes that would end a line."""
    with socket.create_connection(daemon.tcp, timeout=60) as connection:
        connection.sendall(b"".join(b"%d %s" % (len(one), one) for one in frames))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def mixed(run: str, count: int, poison: dict[int, bytes]) -> tuple[list[bytes], Journal]:
    """Return frames with poison at these positions, and the journal of the good ones."""
    frames = [poison[number] if number in poison else frame(Stamp(run, "good", number)) for number in range(count)]
    return frames, Journal("good", sent=count, acknowledged=set(range(count)) - poison.keys())


@pytest.mark.parametrize("share", ["1 in 1,000", "all"])
def test_what_postgres_would_refuse_is_repaired_or_set_aside_and_the_rest_is_stored(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, share: str
) -> None:
    daemon = make_daemon().start()
    count = 1_000 * len(HOSTILE) if share == "1 in 1,000" else 5 * len(HOSTILE)
    hostile = list(HOSTILE.values())
    step = count // len(hostile) if share == "1 in 1,000" else 1
    poison = {number: hostile[number // step % len(hostile)] for number in range(0, count, step)}
    frames, journal = mixed(run, count, poison)
    send(daemon, frames)
    daemon.wait_drained()
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), [journal]))
        ((repaired,),) = database.fetch("SELECT count(*) FROM logs WHERE message NOT LIKE 'run=%'")
        set_aside = [raw for (raw,) in database.fetch("SELECT raw FROM quarantine")]
        ((stored,),) = database.fetch("SELECT count(*) FROM logs")
    assert repaired + len(set_aside) == len(poison)
    assert set(set_aside) <= set(hostile)
    assert (daemon.metric("stored_rows_total"), daemon.metric("quarantined_rows_total")) == (stored, len(set_aside))
    daemon.stop()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_row_is_set_aside_with_its_bytes_and_the_rest_of_its_batch_is_stored(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str, refusal: str
) -> None:
    daemon = make_daemon(**IN_BATCHES).start()
    with open_database() as database:
        database.execute(REFUSALS[refusal])
        quarantined = 0
        for number, (place, (count, positions)) in enumerate(PLACES.items()):
            bad = {position: b"<14>1 - h s - - - poison %d" % position for position in positions}
            frames, journal = mixed(f"{run}-{number}", count, bad)
            send(daemon, frames)
            daemon.wait_drained()
            assert_good(check(stored_stamps(database, f"{run}-{number}"), [journal]))
            rows = database.fetch("SELECT raw, reason, position FROM quarantine ORDER BY id OFFSET $1", quarantined)
            assert sorted(raw for raw, _, _ in rows) == sorted(bad.values()), place
            assert all(reason[:2] in ("22", "23") for _, reason, _ in rows)
            quarantined += len(rows)
        assert daemon.metric("quarantined_rows_total", input="tcp") == quarantined
        ((stored,),) = database.fetch("SELECT count(*) FROM logs")
        assert daemon.metric("stored_rows_total", input="tcp") == stored
    daemon.stop()


@pytest.mark.slow
def test_one_poisoned_row_in_a_thousand_costs_less_than_four_fifths_of_the_throughput(
    make_daemon: MakeDaemon, open_database: OpenDatabase, run: str
) -> None:
    daemon = make_daemon().start()
    count = 100_000
    seconds = {}
    with open_database() as database:
        database.execute(REFUSALS["a check"])
        for kind, step in (("clean", count), ("mixed", 1_000)):
            bad = {} if kind == "clean" else {n: b"<14>1 - h s - - - poison %d" % n for n in range(0, count, step)}
            frames, journal = mixed(f"{run}-{kind}", count, bad)
            began = time.monotonic()
            send(daemon, frames)
            daemon.wait_drained(seconds=100)
            seconds[kind] = time.monotonic() - began
            assert_good(check(stored_stamps(database, f"{run}-{kind}"), [journal]))
    print({kind: f"{count / took:,.0f} rows/s" for kind, took in seconds.items()})
    assert seconds["mixed"] <= 5 * seconds["clean"]
    daemon.stop()
