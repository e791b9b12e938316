"""A batch in PostgreSQL: once, whole, and what it refuses beside it in quarantine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from batches import batch_of, encoded, numbered

from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.store import Stored, store_batch
from logstreamd.wire.batch import Batch

SPOOL = UUID(int=7)

CHECK = "ALTER TABLE logs ADD CONSTRAINT no_poison CHECK (message NOT LIKE 'poison%')"
INDEX = """
    CREATE FUNCTION fragile(message text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        IF message LIKE 'poison%' THEN RAISE EXCEPTION 'no index entry' USING ERRCODE = '54000'; END IF;
        RETURN 1;
    END $$;
    CREATE INDEX ON logs (fragile(message))
"""
# Its errors come when the whole COPY is in, and name no line.
TRIGGER = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.message LIKE 'poison%' THEN RAISE EXCEPTION 'refused' USING ERRCODE = '22023'; END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER refuse AFTER INSERT ON logs FOR EACH ROW EXECUTE FUNCTION refuse()
"""


async def store(connection: asyncpg.Connection, batch: Batch, *, seq: int = 1, number: int = 1) -> Stored:
    return await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=seq)


async def messages(connection: asyncpg.Connection) -> list[str]:
    return [row["message"] for row in await connection.fetch("SELECT message FROM logs ORDER BY id")]


async def test_a_row_is_stored_with_every_column_and_type(connection: asyncpg.Connection) -> None:
    batch = batch_of(
        [b'<165>1 2026-11-22T02:59:59.000003Z web-1 checkout 814 ID47 [ex@1 user="M\xc3\xbcller"] paid 5 \xe2\x82\xac'],
        peer="2001:db8::7",
    )
    assert await store(connection, batch, number=3) == Stored(1)
    row = await connection.fetchrow("SELECT *, attrs #>> '{ex@1,user}' AS sender, family(peer) FROM logs")
    assert row is not None
    assert {**row} | {"ts": row["ts"].isoformat(), "received_at": row["received_at"].isoformat()} == {
        "id": 3 * 65_536,
        "ts": "2026-11-22T02:59:59.000003+00:00",
        "received_at": "2026-11-22T03:00:00+00:00",
        "severity": 5,
        "facility": 20,
        "host": "web-1",
        "service": "checkout",
        "proc_id": "814",
        "msg_id": "ID47",
        "trace_id": None,
        "message": "paid 5 €",
        "attrs": '{"ex@1": {"user": "Müller"}}',
        "input": "tcp",
        "peer": row["peer"],
        "format": "rfc5424",
        "sender": "Müller",
        "family": 6,
    }
    assert str(row["peer"]) == "2001:db8::7"


async def test_what_a_message_does_not_say_is_null(connection: asyncpg.Connection) -> None:
    await store(connection, batch_of(["just text"], peer=""))
    row = await connection.fetchrow("SELECT host, service, proc_id, msg_id, trace_id, attrs, peer FROM logs")
    assert row is not None
    assert set(row.values()) == {None}


async def test_ids_follow_the_order_in_the_batch(connection: asyncpg.Connection) -> None:
    await store(connection, batch_of(numbered(100)), number=5)
    rows = await connection.fetch("SELECT id, message FROM logs ORDER BY id")
    assert [row["id"] for row in rows] == [5 * 65_536 + position for position in range(100)]
    assert [row["message"] for row in rows] == numbered(100)


@pytest.mark.every_postgres
async def test_every_row_that_wire_makes_of_any_bytes_is_storable(connection: asyncpg.Connection) -> None:
    nasty = [
        b"",
        bytes(range(256)),
        b"\0" * 10,
        b'{"message": "nul \\u0000, lone \\ud800"}',
        b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"n": 1e400000, "m": NaN, "message": "x"}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b"<13>1 0001-01-01T00:00:00+14:00 h a - - - early",
        b"<13>1 9999-12-31T23:59:59-12:00 h a - - - late",
        b"<13>1 - " + b"h" * 5000 + b" " + b"a" * 5000 + b" - - - long names",
        b'{"service": "' + b"s" * 9000 + b'", "level": "error", "message": "indexed"}',
        "\U0010ffff \ufffe \ufeff".encode(),
        b"x" * 65_536,
    ]
    assert await store(connection, batch_of(nasty)) == Stored(len(nasty))


async def test_a_batch_that_comes_again_is_not_stored_again(connection: asyncpg.Connection) -> None:
    batch = batch_of(numbered(10))
    assert await store(connection, batch) == Stored(10)
    assert await store(connection, batch) == Stored(10, repeated=True)
    assert await messages(connection) == numbered(10)
    assert await connection.fetchval("SELECT row_count FROM spool_marks") == 10


async def test_the_same_seq_of_another_spool_is_another_batch(connection: asyncpg.Connection) -> None:
    batch = batch_of(["x"])
    for spool in (SPOOL, uuid4()):
        assert await store_batch(connection, batch, encoded(batch), spool_id=spool, seq=1) == Stored(1)


async def test_a_repeated_batch_with_poison_says_what_became_of_it_then(connection: asyncpg.Connection) -> None:
    await connection.execute(CHECK)
    batch = batch_of(numbered(10, bad=[3, 4]))
    assert await store(connection, batch) == Stored(8, 2)
    assert await store(connection, batch) == Stored(8, 2, repeated=True)
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 2


async def test_a_request_that_comes_in_another_batch_is_stored_once(connection: asyncpg.Connection) -> None:
    request = uuid4()
    for seq, part, expected in (
        (1, 0, Stored(3)),
        (2, 0, Stored(0, duplicate=3)),
        (2, 0, Stored(0, duplicate=3, repeated=True)),
        (3, 1, Stored(3)),
    ):
        batch = batch_of(numbered(3))
        batch.request = (request, part)
        assert await store(connection, batch, seq=seq, number=seq) == expected
    assert len(await messages(connection)) == 6


CASES = {
    "alone": (1, [0]),
    "first": (10, [0]),
    "last": (10, [9]),
    "both ends": (10, [0, 9]),
    "neighbours": (10, [4, 5]),
    "two": (100, [17, 63]),
    "every seventh": (100, range(0, 100, 7)),
    "all": (30, range(30)),
    "all but one": (64, range(1, 64)),
}


@pytest.mark.parametrize("refusal", [CHECK, INDEX, TRIGGER], ids=["check", "index", "trigger"])
async def test_poison_goes_to_quarantine_and_the_rest_is_stored_once(
    connection: asyncpg.Connection, refusal: str
) -> None:
    await connection.execute(refusal)
    for number, (name, (rows, bad)) in enumerate(CASES.items(), 1):
        batch = batch_of(numbered(rows, bad))
        assert await store(connection, batch, seq=number, number=number) == Stored(rows - len(bad), len(bad)), name
        stored = await connection.fetch("SELECT id, message FROM logs WHERE id / 65536 = $1 ORDER BY id", number)
        good = [position for position in range(rows) if position not in set(bad)]
        assert [row["id"] - number * 65_536 for row in stored] == good, name
        assert [row["message"] for row in stored] == [f"good {position}" for position in good], name
        assert await quarantined(connection, number) == list(bad), name


async def quarantined(connection: asyncpg.Connection, seq: int) -> list[int]:
    """Return the positions set aside of a batch, having looked at everything that is kept of them."""
    kept = await connection.fetch("SELECT * FROM quarantine WHERE seq = $1 ORDER BY position", seq)
    for row in kept:
        assert row["raw"] == f"poison {row['position']}".encode()
        assert (row["input"], row["peer"], row["spool_id"]) == ("tcp", "192.0.2.7", SPOOL)
        assert row["reason"][:5] in ("23514", "54000", "22023")
        arrival = datetime(2026, 11, 22, 3, tzinfo=UTC) + timedelta(microseconds=row["position"])
        assert row["received_at"] == arrival
    return [row["position"] for row in kept]


async def test_poison_of_one_in_a_thousand_costs_a_few_attempts(connection: asyncpg.Connection) -> None:
    await connection.execute(CHECK)
    bad = range(500, 10_000, 1_000)
    copies: list[str] = []
    connection.add_query_logger(lambda query: copies.append(query.query) if "COPY" in query.query else None)
    assert await store(connection, batch_of(numbered(10_000, bad))) == Stored(9_990, 10)
    assert len(copies) <= 60


async def test_the_bytes_in_quarantine_are_the_bytes_that_came(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE logs ADD CHECK (message NOT LIKE '%poison%')")
    raw = b"\xff\0poison\r\n \x80"
    assert await store(connection, batch_of([raw], peer="")) == Stored(0, 1)
    row = await connection.fetchrow("SELECT raw, peer FROM quarantine")
    assert row is not None
    assert (row["raw"], row["peer"]) == (raw, None)


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("DROP TABLE logs CASCADE", asyncpg.UndefinedTableError),
        ("DROP TABLE logs_default", asyncpg.CheckViolationError),
        ("ALTER TABLE logs DROP COLUMN msg_id", asyncpg.UndefinedColumnError),
        ("DROP TABLE spool_marks", asyncpg.UndefinedTableError),
        ("SET default_transaction_read_only = on", asyncpg.ReadOnlySQLTransactionError),
    ],
)
async def test_what_is_not_the_rows_fault_puts_nothing_into_quarantine(
    connection: asyncpg.Connection, damage: str, error: type[Exception]
) -> None:
    await connection.execute(damage)
    with pytest.raises(error):
        await store(connection, batch_of(numbered(3)))
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_nothing_of_a_batch_stays_when_its_connection_is_killed(
    database: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("""
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.message = 'poison 5' THEN PERFORM pg_sleep(60); END IF; RETURN NULL; END $$;
        CREATE TRIGGER wait AFTER INSERT ON logs FOR EACH ROW EXECUTE FUNCTION wait();
    """)
    writer = await connect(ConnectionSettings(database), purpose="victim")
    storing = asyncio.create_task(store(writer, batch_of(numbered(10, [5]))))
    kill = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'logstreamd victim' AND wait_event = 'PgSleep'
    """
    while not await connection.fetchval(kill):
        await asyncio.sleep(0.001)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await storing
    await connection.execute("DROP TRIGGER wait ON logs")
    assert await connection.fetchval("SELECT (SELECT count(*) FROM logs) + (SELECT count(*) FROM spool_marks)") == 0
    assert await store(connection, batch_of(numbered(10, [5]))) == Stored(10)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
async def test_a_mark_that_another_backend_still_holds_is_waited_for_and_then_told_apart(
    database: str, ends: str
) -> None:
    settings = ConnectionSettings(database, lock_timeout_seconds=0.05)
    zombie, writer = [await connect(settings, purpose=name) for name in ("zombie", "writer")]
    transaction = zombie.transaction()
    await transaction.start()
    await zombie.execute("INSERT INTO spool_marks (spool_id, seq, row_count) VALUES ($1, 1, 4)", SPOOL)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await store(writer, batch_of(numbered(4)))
    await getattr(transaction, ends)()
    assert await store(writer, batch_of(numbered(4))) == Stored(4, repeated=ends == "commit")
    await asyncio.gather(zombie.close(), writer.close())


async def test_any_range_of_rows_can_be_copied_by_itself(connection: asyncpg.Connection) -> None:
    rows = encoded(batch_of(numbered(20)))

    async def stream():
        for piece in rows.copy_stream(7, 12):
            yield bytes(piece)

    await connection.copy_to_table("logs", source=stream(), format="binary")
    assert await messages(connection) == numbered(20)[7:12]
