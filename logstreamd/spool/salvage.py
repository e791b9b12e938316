"""A database that cannot be trusted is set aside; what can still be read of it goes into a fresh one.

The steps survive a kill between any two of them: rows are copied into ``spool.db.fresh`` (thrown away if
found at the next start), which is renamed to ``spool.db.recovered`` when it is complete (finished if found at
the next start); then the old file gets its name ``spool.db.corrupt-<time>`` and the recovered one takes its
place. Nothing old is deleted.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from logstreamd import faults
from logstreamd.spool.directory import SpoolDirectory, sync_directory
from logstreamd.spool.file_format import (
    READ_ERRORS,
    CorruptDatabaseError,
    check_schema,
    connect,
    create_private,
    create_schema,
    has_whole_header,
    insert_row,
    read_number,
    read_row,
)
from logstreamd.spool.limits import PAGE_BYTES
from logstreamd.spool.positions import Positions, positions_of_batch, read_positions, write_positions
from logstreamd.spool.rows import Row
from logstreamd.spool.statements import QUERIES
from logstreamd.wire.batch_codec import CorruptBatch

__all__ = ["Salvaged", "finish_swap", "set_aside"]

_MAX_LOOKUPS = 1_000_000
"""Seqs between two unreadable places that are asked for one by one: about 5 s."""

_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass(slots=True)
class Salvaged:
    """What became of a corrupt database."""

    aside: Path
    last_seq: int = 0
    recovered: int = 0
    lost: int = 0
    lost_frames_by_input: dict[str, int] = field(default_factory=dict)

    def lose(self, name: object, frames: object) -> None:
        """Count a row whose small columns could be read and whose body could not."""
        self.lost += 1
        if isinstance(name, str) and isinstance(frames, int) and 0 < frames < 1 << 16:
            self.lost_frames_by_input[name] = self.lost_frames_by_input.get(name, 0) + frames


def set_aside(directory: SpoolDirectory) -> Salvaged:
    """Replace the directory's database by a fresh one with every row that can still be read.

    Args:
        directory: owned by this process, its database closed.

    Returns:
        Where the old file is and how many batches were recovered and lost.

    Raises:
        OSError: the disk fails; nothing has changed then.
    """
    salvaged = Salvaged(directory.aside_path())
    create_private(directory.database)
    fresh = _beside(directory.database, "fresh")
    try:
        _copy_rows(directory.database, fresh, salvaged)
    except sqlite3.Error:  # of the fresh file: no space for the rows, they stay where they are
        _new_database(fresh).close()
        salvaged.recovered = 0
    fresh.replace(_beside(directory.database, "recovered"))
    sync_directory(directory.path)
    faults.hit("spool.set_aside")
    finish_swap(directory, salvaged.aside)
    return salvaged


def finish_swap(directory: SpoolDirectory, aside: Path | None = None) -> None:
    """Put a recovered database in its place, or throw an unfinished one away.

    Args:
        directory: owned by this process, its database closed.
        aside: the name the old file gets; a free one when None.
    """
    database = directory.database
    recovered = _beside(database, "recovered")
    _remove(_beside(database, "fresh"))
    _remove(_beside(database, "patched"))
    if not recovered.exists():
        return
    aside = aside or directory.aside_path()
    for suffix in (
        *_SIDE_FILES,
        "",
    ):  # the log first: a log beside a database it does not belong to would be replayed
        with suppress(FileNotFoundError):
            Path(f"{database}{suffix}").rename(f"{aside}{suffix}")
    recovered.rename(database)
    sync_directory(directory.path)


def _copy_rows(database: Path, fresh: Path, salvaged: Salvaged) -> None:
    with closing(_new_database(fresh)) as target:
        for row in _intact_rows(database, salvaged):
            target.execute("BEGIN")
            insert_row(target, row)
            target.execute("COMMIT")
            salvaged.recovered += 1
            salvaged.last_seq = max(salvaged.last_seq, row.seq)
        # After the rows: they have the positions of their time, the table the newest.
        target.execute("BEGIN")
        write_positions(target, _intact_positions(database))
        target.execute("COMMIT")


def _new_database(path: Path) -> sqlite3.Connection:
    _remove(path)
    create_private(path)
    connection = connect(path)
    create_schema(connection)
    return connection


def _intact_rows(database: Path, salvaged: Salvaged) -> Iterator[Row]:
    """Yield every row that is readable and whole; count those of which only the small columns are."""
    with closing(_open_damaged(database)) as source:
        for columns in _readable(source):
            try:
                row = read_row(source, columns)
                row.positions = positions_of_batch(row.batch())
            except (*READ_ERRORS, CorruptDatabaseError, CorruptBatch):
                salvaged.lose(columns[2], columns[3])
                continue
            with suppress(*READ_ERRORS):  # without its number the batch gets a new one: later row ids, nothing lost
                row.number = read_number(source, row.seq)
            yield row


def _intact_positions(database: Path) -> Positions:
    with closing(_open_damaged(database)) as source, suppress(*READ_ERRORS):
        return read_positions(source)
    return {}


def _readable(source: sqlite3.Connection) -> Iterator[list[Any]]:
    """Yield the small columns of every row: forwards to the first unreadable page, backwards to the last one,
    and what lies between by single look-ups.
    """
    first = last = None
    for columns in _scan(source, "after", 0):
        first = int(columns[0])
        yield columns
    rest = []
    for columns in _scan(source, "before", 1 << 62):
        last = int(columns[0])
        if first is not None and last <= first:
            break
        rest.append(columns)
    if last is not None:
        for seq in range((first or 0) + 1, min(last, (first or 0) + 1 + _MAX_LOOKUPS)):
            yield from _scan(source, "row", seq)
    yield from reversed(rest)


def _scan(source: sqlite3.Connection, query: str, seq: int) -> Iterator[list[Any]]:
    """Yield the small columns of rows, ever further away from ``seq``, until a page is not what it was.

    The pages of a damaged tree may lead in circles, and there are more ways through them than anybody can wait for.
    """
    distance = -1
    try:
        for *columns, _length in source.execute(QUERIES[query], (seq,)):
            previous, distance = distance, abs(int(columns[0]) - seq)
            if distance <= previous:
                return
            yield columns
    except READ_ERRORS:
        return


def _open_damaged(database: Path) -> sqlite3.Connection:
    """Open a damaged file for reading; when not even its schema is readable, a copy with a new first page."""
    with suppress(*READ_ERRORS):
        connection = connect(database, mode="ro")
        if has_whole_header(database) and _has_tables(connection):
            return connection
        connection.close()
    return connect(_patched_copy(database))


def _has_tables(connection: sqlite3.Connection) -> bool:
    try:
        check_schema(connection)
    except (*READ_ERRORS, CorruptDatabaseError):
        return False
    return True


def _patched_copy(database: Path) -> Path:
    """Copy the file and give it the first page of a fresh one: the tables' roots are always the same
    pages.
    """
    patched = _beside(database, "patched")
    with closing(_new_database(patched)):
        pass
    first_page = bytearray(patched.read_bytes()[:PAGE_BYTES])
    rest = patched.read_bytes()[PAGE_BYTES:]
    first_page[28:32] = bytes(4)  # pages in the file: 0 means "as many as it is long"
    shutil.copyfile(database, patched)
    with patched.open("r+b") as file:
        file.write(first_page)
        if database.stat().st_size <= PAGE_BYTES:
            file.write(rest)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{database}-wal", f"{patched}-wal")
    return patched


def _remove(path: Path) -> None:
    for suffix in ("", *_SIDE_FILES):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(f"{database.name}.{suffix}")
