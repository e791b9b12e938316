"""The database is away, comes late, or loses its connections: messages are taken meanwhile and stored once each."""

from __future__ import annotations

import threading
from collections.abc import Callable

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import numbered_lines, send_stream

StartDaemon = Callable[..., DaemonProcess]


def test_messages_are_taken_before_the_database_exists_and_stored_when_it_does(
    make_daemon: StartDaemon, postgres: EmbeddedPostgres
) -> None:
    count = 2_000
    daemon = make_daemon(dsn=postgres.dsn("comes_later"))
    daemon.launch()
    daemon.wait_listening()
    answer = daemon.get("/ready")
    assert (answer.status, answer.json()["ready"]) == (503, False)
    assert '"comes_later" does not exist' in answer.json()["problems"][0]
    send_stream(daemon.address("tcp"), numbered_lines("early", count))
    wait_for("all messages in the spool", lambda: daemon.ledger("tcp")["spooled"] == count)
    assert daemon.get("/api/v1/logs").status == 503
    with Database(postgres.dsn("postgres")) as server:
        server.execute("CREATE DATABASE comes_later")
        wait_for("/ready", lambda: daemon.get("/ready").status == 200)
        with Database(daemon.psql) as database:
            database.wait_for_rows("early", count)
            database.assert_each_once("early", count)
        daemon.stop()
        server.execute("DROP DATABASE comes_later WITH (FORCE)")


def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(make_daemon: StartDaemon) -> None:
    count = 30_000
    settings = {"writer": {"batch_max_rows": 500}}  # many transactions to be cut
    daemon = make_daemon(settings=settings).start()
    with Database(daemon.psql) as database:
        send_stream(daemon.address("tcp"), numbered_lines("cut", count))
        for part in range(1, 6):
            database.wait_for_rows("cut", count * part // 10)
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        database.wait_for_rows("cut", count)
        wait_for("an empty spool", lambda: daemon.status()["spool"]["frames"] == 0)
        database.assert_each_once("cut", count)
    daemon.stop()


def test_tcp_senders_wait_while_the_spool_is_full_and_nothing_is_lost(make_daemon: StartDaemon) -> None:
    count = 60_000
    padding = "." * 500  # 60,000 messages are about twice what the spool may hold
    settings = {"spool": {"max_bytes": "16MiB", "window_bytes": "8MiB"}}
    daemon = make_daemon(settings=settings).start()
    messages = numbered_lines("patient", count, padding=padding)
    sender = threading.Thread(target=send_stream, args=(daemon.address("tcp"), messages))
    with Database(daemon.psql) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        sender.start()
        wait_for("the input waits", lambda: daemon.status()["inputs"]["tcp"]["waiting_for_spool"])
        answer = daemon.get("/ready")
        assert (answer.status, answer.json()["ready"]) == (503, False)
        assert any("input tcp" in problem for problem in answer.json()["problems"])
        assert daemon.ledger("tcp")["received"] < count
        database.execute("ROLLBACK")
        sender.join(60)
        database.wait_for_rows("patient", count)
        database.assert_each_once("patient", count)
    assert daemon.stop()["tcp"]["dropped"] == 0
