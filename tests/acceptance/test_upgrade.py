"""Versions that meet: a new daemon on old tables, an old daemon on new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from logstreamd.storage.migrate import load_migrations, migrate
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import numbered_lines, send_stream

StartDaemon = Callable[..., DaemonProcess]

_OLD_ROWS = """
    CREATE TABLE logs_20260228 PARTITION OF logs FOR VALUES FROM ('2026-02-28 00:00Z') TO ('2026-03-01 00:00Z');
    INSERT INTO logs (id, ts, received_at, severity, facility, host, service, message, input, format)
    SELECT (nextval('batch_number') << 16) + n, '2026-02-28 12:00Z', '2026-02-28 12:00Z', 3, 1, 'web-1', 'old',
           'seq=' || n, 'tcp', 'raw'
    FROM generate_series(0, 9) AS n
"""
_NEWER = "INSERT INTO schema_version (version, name, checksum, additive) VALUES (9999, 'later', '', false)"


async def make_first_schema(dsn: str) -> None:
    """Leave a database as the first version of logstreamd did."""
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection, load_migrations()[:1])
        await connection.execute(_OLD_ROWS)
    finally:
        await connection.close()


def test_a_new_daemon_brings_old_tables_up_to_date_and_finds_what_is_in_them(
    make_daemon: StartDaemon, make_database: Callable[[], str]
) -> None:
    dsn = make_database()
    asyncio.run(make_first_schema(dsn))
    daemon = make_daemon(dsn=dsn, settings={"retention": {"days": None}}).start()
    send_stream(daemon.address("tcp"), numbered_lines("old", 10, first=10))
    with Database(dsn) as database:
        database.wait_for_rows("old", 20)
        database.assert_each_once("old", 20)
        applied = [version for (version,) in database.fetch("SELECT version FROM schema_version ORDER BY 1")]
    assert applied == [step.version for step in load_migrations()]
    assert len(daemon.logs(q="service:old level:error", start="2026-02-01T00:00:00Z")) == 10
    daemon.stop()


@pytest.mark.slow  # quick: tests/integration/test_maintenance.py
def test_an_old_daemon_keeps_its_hands_off_newer_tables_and_what_it_receives_in_its_spool(
    make_daemon: StartDaemon, make_database: Callable[[], str]
) -> None:
    count = 500
    daemon = make_daemon(dsn=make_database()).start()
    daemon.stop()
    with Database(daemon.psql) as database:
        database.execute(_NEWER)
        daemon.launch()
        daemon.wait_listening()
        answer = daemon.get("/ready")
        assert answer.status == 503
        assert "9999_later.sql was applied by a newer one. Run that one" in answer.json()["problems"][0]
        send_stream(daemon.address("tcp"), numbered_lines("early", count))
        wait_for("all messages in the spool", lambda: daemon.ledger("tcp")["spooled"] == count)
        assert database.count("early") == 0
        # As if the step had said that it leaves everything in place.
        database.execute("UPDATE schema_version SET additive = true WHERE version = 9999")
        database.wait_for_rows("early", count)
        database.assert_each_once("early", count)
        wait_for("/ready", lambda: daemon.get("/ready").status == 200)
    daemon.stop()
