"""Batches over HTTP: what was answered with 200 is in the table once, whatever happens next."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon_process import Answer, DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import program

StartDaemon = Callable[..., DaemonProcess]

COUNT = 50_000
PER_BODY = 5_000


def documents(service: str, numbers: Iterable[int]) -> list[dict[str, Any]]:
    return [{"service": service, "level": "error", "message": f"seq={number} failed"} for number in numbers]


def as_lines(found: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)


def post(daemon: DaemonProcess, body: bytes, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return daemon.post("/api/v1/logs", body, {"Content-Type": "application/x-ndjson", **names})


def test_fifty_thousand_lines_in_compressed_bodies_arrive_once_each(daemon: DaemonProcess, database: Database) -> None:
    service = "posted"
    for first in range(0, COUNT, PER_BODY):
        body = gzip.compress(as_lines(documents(service, range(first, first + PER_BODY))), 1)
        answer = post(daemon, body, Content_Encoding="gzip")
        assert (answer.status, answer.json()) == (200, {"accepted": PER_BODY, "rejected": []})
    database.wait_for_rows(service, COUNT)
    database.assert_each_once(service, COUNT)
    assert database.distinct("severity, format", service) == [(3, "json")]


def test_what_was_answered_with_200_survives_a_kill(make_daemon: StartDaemon, open_directory: Path) -> None:
    daemon = make_daemon(open_directory / "state", dsn="embedded").start()
    with Database(daemon.psql) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        answer = post(daemon, as_lines(documents("accepted", range(1_000))))
        daemon.kill()
    assert (answer.status, answer.json()["accepted"]) == (200, 1_000)
    daemon.start()
    with Database(daemon.psql) as database:
        database.wait_for_rows("accepted", 1_000)
        database.assert_each_once("accepted", 1_000)
    wait_for("an empty spool", lambda: daemon.status()["spool"]["frames"] == 0)
    daemon.stop()


def test_a_body_sent_again_with_its_key_is_stored_once(daemon: DaemonProcess, database: Database) -> None:
    body = as_lines(documents("retried", range(10)))
    answers = [post(daemon, body, Idempotency_Key="retried-1") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert all(answer.json() == answers[0].json() for answer in answers)
    database.wait_for_rows("retried", 10)
    database.assert_each_once("retried", 10)


@pytest.mark.parametrize(
    "body", ['{"service": "curled", "message": "seq=0"}', '[{"service": "curled", "message": "seq=0"}]']
)
def test_curl_can_post_an_object_or_an_array(daemon: DaemonProcess, body: str) -> None:
    command = [program("curl", "curl"), "--silent", "--fail-with-body", "--header", "Content-Type: application/json"]
    done = subprocess.run(
        [*command, "--data", body, f"{daemon.url}/api/v1/logs"], capture_output=True, check=True, timeout=30
    )
    assert json.loads(done.stdout) == {"accepted": 1, "rejected": []}
    wait_for("the row", lambda: daemon.logs(service="curled"))
