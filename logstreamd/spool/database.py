"""The SQLite file of the spool, used by one thread: batches in, batches out, and its size kept in bounds.

Invariants:

- A durable write is an fsynced commit. Deletions and batch numbers are committed without: losing them in a
  power cut repeats a batch, which its marker in PostgreSQL recognises; a kill does not lose them.
- The write-ahead log is emptied into the database before a transaction would make it longer than its share of
  ``max_bytes``, so that database and log together stay below it.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from logstreamd import faults
from logstreamd.spool.directory import FORMAT
from logstreamd.spool.file_format import (
    READ_ERRORS,
    CorruptDatabaseError,
    bring_up_to_date,
    check_schema,
    connect,
    create_private,
    create_schema,
    insert_row,
    is_corruption,
    read_number,
    read_row,
)
from logstreamd.spool.limits import PAGE_BYTES
from logstreamd.spool.positions import PositionKey, Positions, read_positions, write_positions
from logstreamd.spool.rows import Row, number_seal
from logstreamd.spool.statements import QUERIES
from logstreamd.wire.batch import FilePosition

__all__ = ["Changes", "SpoolDatabase", "Usage"]

CHECKED_BYTES = 256 << 20
"""A database up to this size is checked page by page at open (about 1 GB/s); a larger one only where it is
read.
"""

_VACUUM_PAGES = 256  # 2 MiB a step: a step of idle work must not keep an append waiting
_CHANGED_PAGES = 4  # of tables, free list and page map, by one more or less row
_POSITION_PAGES = 512  # the whole table, with 20,000 positions of 200 bytes
_FRAME_HEADER_BYTES = 24  # before every page in the log


@dataclass(slots=True)
class Changes:
    """What one transaction does to the spool."""

    rows: list[Row] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    numbers: dict[int, int] = field(default_factory=dict)
    positions: dict[PositionKey, FilePosition | None] = field(default_factory=dict)
    """Positions to be set besides those of the rows, None to be forgotten; the rows' own win."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.deleted or self.numbers or self.positions)

    def moved_positions(self) -> dict[PositionKey, FilePosition | None]:
        """Every position that is changed, as it is in the end."""
        moved = dict(self.positions)
        for row in self.rows:
            moved.update(row.positions)
        return moved


@dataclass(slots=True)
class Usage:
    """What a spool holds, as its small columns say."""

    batches: int = 0
    frames_by_input: dict[str, int] = field(default_factory=dict)


class SpoolDatabase:
    """The open file.

    Args:
        path: the file; made by :meth:`open` when it is missing.
        max_pages: pages it may grow to.
        wal_bytes: what its log may grow to before it is emptied.
    """

    def __init__(self, path: Path, *, max_pages: int, wal_bytes: int) -> None:
        self.path = path
        self._wal = Path(f"{path}-wal")
        self._max_pages = max_pages
        self._wal_bytes = wal_bytes
        self._connection: sqlite3.Connection | None = None
        self._durable: bool | None = None
        self._log_used = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a handle that is trusted."""
        return self._connection is not None

    def open(self) -> None:
        """Open the file, or make it, and see that it is whole.

        Raises:
            CorruptDatabaseError: it has to be set aside.
            sqlite3.Error: the disk fails.
        """
        create_private(self.path)
        try:
            self._open()
        except (*READ_ERRORS, OSError, CorruptDatabaseError) as error:
            self.close()
            if is_corruption(error):
                raise CorruptDatabaseError(str(error)) from error
            raise

    def _open(self) -> None:
        connection = self._connection = connect(self.path)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            create_schema(connection)
        for pragma in (
            "journal_mode = WAL",
            "wal_autocheckpoint = 0",  # ours to do: before a transaction, and when idle
            "secure_delete = OFF",  # Debian's default writes zeros over every deleted batch
            "temp_store = MEMORY",
            "cache_size = -8000",  # KiB: a whole transaction, so that none of it is written twice
            f"max_page_count = {self._max_pages}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if connection.execute("PRAGMA page_size").fetchone() != (PAGE_BYTES,):
            raise CorruptDatabaseError("its pages have another size than a spool's")
        check_schema(connection)
        bring_up_to_date(connection)
        self._durable = None
        self._log_used = self._log_size()
        if self.path.stat().st_size <= CHECKED_BYTES:
            self._check()

    def _check(self) -> None:
        problems = [text for (text,) in self._run("PRAGMA quick_check(3)")]
        if problems != ["ok"]:
            raise CorruptDatabaseError("; ".join(str(text) for text in problems))

    def close(self) -> None:
        """Let go of the handle, whatever state it is in."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def start_anew(self) -> None:
        """Replace the file by an empty one: the way out when a full disk has no space left even for
        deleting.
        """
        self.close()
        for suffix in (
            "",
            "-wal",
            "-shm",
        ):  # the database first: an empty one ignores a log that is left over
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.open()

    def write(self, changes: Changes, *, durable: bool) -> None:
        """Apply changes in one transaction.

        Args:
            changes: rows in, rows out, batch numbers.
            durable: have the commit fsynced, and with it every earlier one.
        """
        self._make_room_in_log(changes)
        self._set_durable(durable)
        connection = self._handle()
        self._run("BEGIN IMMEDIATE")
        write_positions(connection, changes.positions)
        for row in changes.rows:
            insert_row(connection, row)
        numbers = [(seq, number, number_seal(seq, number)) for seq, number in changes.numbers.items()]
        connection.executemany(QUERIES["assign"], numbers)
        deleted = [(seq,) for seq in sorted(changes.deleted)]
        connection.executemany(QUERIES["delete"], deleted)
        connection.executemany(QUERIES["unassign"], deleted)
        faults.hit("spool.before_commit")
        self._run("COMMIT")

    def sync(self) -> None:
        """Have every commit so far on disk: a commit of its own that is fsynced."""
        self._set_durable(True)
        self._run(f"PRAGMA user_version = {FORMAT}")

    def usage(self) -> Usage:
        """Count what is here."""
        found = self._run(QUERIES["summary"])
        return Usage(sum(batches for _, batches, _ in found), {name: frames for name, _, frames in found})

    def positions(self) -> Positions:
        """Read how far files are read."""
        return read_positions(self._handle())

    def lengths(self) -> Iterator[int]:
        """Yield the size of every body, without reading one."""
        return (length for (length,) in self._handle().execute(QUERIES["lengths"]))

    def last_seq(self) -> int:
        """Return the highest seq here, 0 when there is none."""
        return int(self._run(QUERIES["last"])[0][0])

    def contains(self, seq: int) -> bool:
        """Whether a batch is here."""
        return bool(self._run(QUERIES["row"], (seq,)))

    def seqs(self, limit: int) -> set[int]:
        """Return up to ``limit`` of the seqs that are here."""
        return {seq for (seq,) in self._run(QUERIES["seqs"], (limit,))}

    def read(self, after: int, max_bytes: int, *, at_least_one: bool) -> tuple[list[Row], bool]:
        """Read rows in order, from the first one behind ``after``, as many as fit into ``max_bytes``.

        Args:
            after: a seq.
            max_bytes: of bodies.
            at_least_one: read the first row even when it alone is larger.

        Returns:
            The rows, and whether there are more.
        """
        rows: list[Row] = []
        for *columns, length in self._handle().execute(QUERIES["after"], (after,)):
            if length > max_bytes and (rows or not at_least_one):
                return rows, True
            max_bytes -= length
            row = read_row(self._handle(), columns)
            row.number = read_number(self._handle(), row.seq)
            rows.append(row)
        return rows, False

    def tidy(self) -> bool:
        """Do a step of the work that can wait: empty the log, give free pages back to the file system.

        Returns:
            Whether there is more to do.
        """
        if self._log_size() > 0:
            return self.empty_log()
        if self._run("PRAGMA freelist_count") == [(0,)]:
            return False
        self._set_durable(False)
        self._log_used += _VACUUM_PAGES * (PAGE_BYTES + _FRAME_HEADER_BYTES)  # pages in use move to the front
        # as a script: execute() takes one step of a pragma that returns no columns, and a step is a page
        self._handle().executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
        return True

    def empty_log(self, mode: str = "TRUNCATE") -> bool:
        """Move what is in the log into the database.

        Args:
            mode: ``TRUNCATE`` cuts the log to nothing; ``RESTART`` writes it from its beginning again, which
                spares the file system the work of allocating it anew (0.25 us a record instead of 0.43, 1 MiB
                batches).

        Returns:
            False when a reader of the log was in the way.
        """
        faults.hit("spool.before_checkpoint")
        ((busy, _, _),) = self._run(f"PRAGMA wal_checkpoint({mode})")
        if not busy:
            self._log_used = 0
        return not busy

    def _make_room_in_log(self, changes: Changes) -> None:
        """See that a transaction does not make the log longer than it may be."""
        pages = _CHANGED_PAGES + sum(len(row.body) // PAGE_BYTES + _CHANGED_PAGES for row in changes.rows)
        pages += len(changes.deleted) * _CHANGED_PAGES
        pages += min(_POSITION_PAGES, len(changes.moved_positions()))
        nbytes = pages * (PAGE_BYTES + _FRAME_HEADER_BYTES)
        if self._log_used and self._log_used + nbytes > self._wal_bytes and not self.empty_log("RESTART"):
            raise OSError(errno.ENOSPC, "a reader of the spool keeps its log from being emptied")
        self._log_used += nbytes

    def _log_size(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def _set_durable(self, durable: bool) -> None:
        if durable is not self._durable:
            self._run(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _run(self, sql: str, parameters: Iterable[object] = ()) -> list[Any]:
        return self._handle().execute(sql, tuple(parameters)).fetchall()

    def _handle(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the spool's database is not open")
        return self._connection
