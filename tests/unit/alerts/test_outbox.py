"""The outbox's file: durable, one owner, damaged files kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alerting import firing, resolved

from logstreamd import faults
from logstreamd.alerts.alert import Alert
from logstreamd.alerts.group import Entry
from logstreamd.alerts.outbox_file import Change, OutboxError, OutboxFile

NOW = 1_795_316_400.0


def entry(alert: Alert, **times: float) -> Entry:
    return Entry(alert, 15.0, NOW, NOW, **times)


def put(one: Entry, notifier: str = "ops") -> Change:
    return Change(notifier, one.key, one)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "alerts" / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[OutboxFile]:
    outbox = OutboxFile(path)
    assert outbox.open(NOW) == ([], None)
    yield outbox
    outbox.close()


def reopened(outbox: OutboxFile, now: float = NOW) -> list[Entry]:
    outbox.close()
    stored, aside = outbox.open(now)
    assert aside is None
    return sorted((one.entry for one in stored), key=lambda one: one.alert.fingerprint)


def test_what_was_written_is_there_after_a_restart(outbox: OutboxFile) -> None:
    waiting, told = entry(firing("A"), waiting_since=NOW - 5), entry(resolved("B"), told_at=NOW - 7)
    outbox.write([put(waiting), put(told)])
    found = {one.alert.labels["alertname"]: one for one in reopened(outbox)}
    assert (found["A"].alert, found["A"].waiting_since, found["A"].told_at) == (waiting.alert, NOW - 5, None)
    assert (found["B"].alert, found["B"].waiting_since, found["B"].told_at) == (told.alert, None, NOW - 7)
    assert found["A"].interval_seconds == 15.0
    assert found["A"].vouched_at == NOW


def test_a_change_replaces_the_row_of_the_same_firing_and_no_other(outbox: OutboxFile) -> None:
    outbox.write([put(entry(firing(since=0))), put(entry(firing(since=100))), put(entry(firing(since=0)), "other")])
    outbox.write([put(entry(resolved(since=0)))])
    stored, _ = (outbox.close(), outbox.open(NOW))[1]
    assert sorted((one.notifier, one.entry.alert.status) for one in stored) == [
        ("ops", "firing"),
        ("ops", "resolved"),
        ("other", "firing"),
    ]


def test_what_was_deleted_is_gone(outbox: OutboxFile) -> None:
    one = entry(firing())
    outbox.write([put(one)])
    outbox.write([Change("ops", one.key, None)])
    assert reopened(outbox) == []


def test_times_that_lie_ahead_after_the_clock_was_set_back_are_now(outbox: OutboxFile) -> None:
    outbox.write([put(entry(firing("A"), waiting_since=NOW)), put(entry(firing("B"), told_at=NOW))])
    found = {one.alert.labels["alertname"]: one for one in reopened(outbox, NOW - 3_600)}
    assert found["A"].waiting_since == NOW - 3_600
    assert found["B"].told_at == NOW - 3_600


def test_the_file_is_nobody_elses(outbox: OutboxFile, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(OutboxError, match="locked"):
        OutboxFile(path).open(NOW)


def test_a_write_that_fails_changes_nothing(outbox: OutboxFile) -> None:
    outbox.write([put(entry(firing("A")))])
    broken = replace(entry(firing("C")), interval_seconds=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        outbox.write([put(entry(firing("B"))), put(broken)])
    assert [one.alert.labels["alertname"] for one in reopened(outbox)] == ["A"]


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"\0" * 8192])
def test_a_file_that_is_no_database_is_set_aside_and_kept(path: Path, damage: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    outbox = OutboxFile(path)
    stored, aside = outbox.open(NOW)
    assert stored == []
    assert aside is not None
    assert aside.read_bytes() == damage
    outbox.write([put(entry(firing()))])
    assert len(reopened(outbox)) == 1
    outbox.close()


def test_a_database_of_somebody_else_is_set_aside_and_kept(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    outbox = OutboxFile(path)
    assert outbox.open(NOW)[1] is not None
    outbox.close()


def test_a_damaged_page_is_noticed(outbox: OutboxFile, path: Path) -> None:
    outbox.write([put(entry(firing(service=f"s{n}"))) for n in range(200)])
    outbox.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 3 + 200] = b"\xff" * 200
    path.write_bytes(data)
    stored, aside = outbox.open(NOW)
    assert stored == []
    assert aside is not None


def test_a_row_that_is_no_alert_sets_the_file_aside(outbox: OutboxFile, path: Path) -> None:
    outbox.write([put(entry(firing()))])
    outbox.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE alerts SET alert = x'7b7d'")
    other.close()
    assert outbox.open(NOW)[1] is not None


def test_a_file_of_a_newer_version_is_left_alone(outbox: OutboxFile, path: Path) -> None:
    outbox.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 2")
    other.close()
    with pytest.raises(OutboxError, match="newer version"):
        outbox.open(NOW)
    assert path.exists()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="cannot be used"):
        OutboxFile(tmp_path / "file" / "outbox.db").open(NOW)


def test_the_file_is_bounded(outbox: OutboxFile) -> None:
    connection = outbox._connection
    assert connection is not None
    ((pages,),) = connection.execute("PRAGMA max_page_count").fetchall()
    ((page_bytes,),) = connection.execute("PRAGMA page_size").fetchall()
    assert pages * page_bytes == 512 << 20
    connection.execute("PRAGMA max_page_count = 20").fetchall()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        outbox.write([put(entry(firing(service="x" * 1000 + str(n)))) for n in range(200)])
    connection.execute("PRAGMA max_page_count = 1000").fetchall()
    assert reopened(outbox) == []


def test_the_fault_point_lies_behind_the_commit(outbox: OutboxFile) -> None:
    faults.arm("alerts.queued:1:raise:EIO")
    try:
        with pytest.raises(OSError, match="armed"):
            outbox.write([put(entry(firing()))])
    finally:
        faults.disarm()
    assert len(reopened(outbox)) == 1
