"""The outbox on disk: a SQLite file in the state directory, used by one thread.

Every write is one transaction that is synced before it returns. A file that cannot be read is set aside under another
name, never deleted; what was in it is told again by the evaluator while it fires.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from logstreamd import faults
from logstreamd.alerts.alert_codec import bounded, from_bytes, to_bytes
from logstreamd.alerts.group import Entry, Key
from logstreamd.spool.file_format import READ_ERRORS, CorruptDatabaseError, create_private, is_corruption
from logstreamd.storage.queries import load_queries, sql_directory

__all__ = ["Change", "OutboxError", "OutboxFile", "Stored"]

_SQL = load_queries("outbox.sql", package="logstreamd.alerts")
_SCHEMA = (sql_directory("logstreamd.alerts") / "outbox_schema.sql").read_text(encoding="utf-8")

APPLICATION_ID = 0x4C534F42
"""``LSOB``, in the header of the file: whose database it is."""

_FORMAT = 1
# 512 MiB: sixteen notifiers with a thousand waiting alerts of 32 KiB each.
_MAX_PAGES = 131_072
_BUSY_SECONDS = 1.0  # another daemon holds the file as long as it runs; a look from outside is over sooner
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class OutboxError(Exception):
    """The outbox cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an alert in a notifier's mailbox; without an entry it is forgotten."""

    notifier: str
    key: Key
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What an earlier run left."""

    notifier: str
    entry: Entry


class OutboxFile:
    """The open file.

    Args:
        path: made with its directory when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def open(self, now: float) -> tuple[list[Stored], Path | None]:
        """Open the file and read it.

        Args:
            now: the time; no alert was told later than this, whatever the clock said in an earlier run.

        Returns:
            What is in it, and where a file that could not be read was put.

        Raises:
            OutboxError: another process uses it, a newer version wrote it, or the disk refuses.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                return self._open(now), None
            except (*READ_ERRORS, CorruptDatabaseError, ValueError) as error:
                self.close()
                if not (is_corruption(error) or type(error) is ValueError):
                    raise
            aside = self._set_aside()
            return self._open(now), aside
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise OutboxError(f"the alerts' outbox {self.path} cannot be used: {error}") from error

    def _open(self, now: float) -> list[Stored]:
        create_private(self.path)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=_BUSY_SECONDS)
        self._connection = connection
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN EXCLUSIVE")
        self._check_format(connection)
        connection.execute("COMMIT")
        connection.execute(f"PRAGMA max_page_count = {_MAX_PAGES}").fetchall()
        if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise CorruptDatabaseError("its pages are damaged")
        return [_stored(*row, now=now) for row in connection.execute(_SQL["all"])]

    def _check_format(self, connection: sqlite3.Connection) -> None:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        ((application,),) = connection.execute("PRAGMA application_id").fetchall()
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        if not tables:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
        elif application != APPLICATION_ID:
            raise CorruptDatabaseError("not an outbox")
        elif version > _FORMAT:
            raise OutboxError(f"{self.path} was written by a newer version of logstreamd (format {version})")

    def _set_aside(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        for suffix in ("-wal", ""):
            file = Path(f"{self.path}{suffix}")
            if file.exists():
                file.rename(f"{aside}{suffix}")
        return aside

    def write(self, changes: Iterable[Change]) -> None:
        """Apply changes in one durable transaction.

        Raises:
            sqlite3.Error: nothing of them was written.
        """
        if self._connection is None:
            raise sqlite3.OperationalError("the outbox is not open")
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for change in changes:
                fingerprint, starts_at = change.key
                row = (change.notifier, fingerprint, (starts_at - _EPOCH) // _MICROSECOND)
                if change.entry is None:
                    connection.execute(_SQL["delete"], row)
                else:
                    connection.execute(_SQL["put"], row + _columns(change.entry))
        faults.hit("alerts.queued")

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


def _columns(entry: Entry) -> tuple[float | None, float | None, float, bytes]:
    alert = to_bytes(bounded(entry.alert))
    return entry.waiting_since, entry.told_at, entry.interval_seconds, alert


def _stored(
    notifier: str,
    waiting_since: float | None,
    told_at: float | None,
    interval_seconds: float,
    alert: bytes,
    *,
    now: float,
) -> Stored:
    told_at = None if told_at is None else min(told_at, now)
    waiting_since = None if waiting_since is None else min(waiting_since, now)
    entry = Entry(
        from_bytes(alert),
        interval_seconds,
        changed_at=waiting_since or told_at or now,
        vouched_at=now,
        waiting_since=waiting_since,
        told_at=told_at,
    )
    return Stored(notifier, entry)
