"""The format of the spool's database file: whose it is, its schema, and one row of it.

=========== ============================== =========================================================
bytes        what                           value
=========== ============================== =========================================================
0-15         magic                          ``SQLite format 3`` and a NUL
16-17        page size                      8192
18-19        file format                     1 1, or 2 2 with a log
20-23        reserved bytes, fractions      0 64 32 32
44-47        schema format                  4
52-55        highest root page              4 in format 1, 5 in format 2
56-59        text encoding                  1, UTF-8
60-63        ``user_version``               the format, 1 or 2
64-67        incremental vacuum             1
68-71        ``application_id``             ``LSPL``
=========== ============================== =========================================================

Numbers are big-endian. Source: the file format documentation of SQLite, section 1.3.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from logstreamd.spool.directory import FORMAT
from logstreamd.spool.interface import SpoolVersionError
from logstreamd.spool.limits import PAGE_BYTES
from logstreamd.spool.positions import write_positions
from logstreamd.spool.rows import Row, number_seal
from logstreamd.spool.statements import POSITIONS_SCHEMA, QUERIES, SCHEMA

__all__ = [
    "APPLICATION_ID",
    "READ_ERRORS",
    "CorruptDatabaseError",
    "bring_up_to_date",
    "check_schema",
    "connect",
    "create_private",
    "create_schema",
    "has_whole_header",
    "insert_row",
    "is_corruption",
    "probe",
    "read_number",
    "read_row",
]

APPLICATION_ID = 0x4C53504C
"""``LSPL``, in the header of the file: whose database it is."""

READ_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file raises. The second one because Python decodes SQLite's messages strictly as UTF-8, and
they may quote the damage.
"""

_HEADER = struct.Struct(">16sH2s4s20xI4x5I28x")
_MAGIC = b"SQLite format 3\0"
_FILE_FORMATS = (b"\1\1", b"\2\2")


class CorruptDatabaseError(Exception):
    """The file is not a spool, or not one that can be read in full."""


def is_corruption(error: BaseException) -> bool:
    """Whether SQLite says that the file's content is wrong (and not that the disk fails)."""
    if isinstance(error, CorruptDatabaseError | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Open a database file that exists; transactions are begun and ended by hand.

    Args:
        path: the file.
        mode: ``rw`` or ``ro``.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=1.0)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")  # the seal notices what was replaced
    return connection


def probe(path: Path, identity_format: int | None) -> None:
    """Look at the header of a database without opening it.

    Args:
        path: the database file; a missing or empty one is a new one, unless there is a log beside it, which SQLite
            would throw away.
        identity_format: the format the directory's identity speaks of, None when it has none.

    Raises:
        SpoolVersionError: written by a newer version. A higher number in the header alone is a flipped bit.
        CorruptDatabaseError: not a spool's database.
    """
    head = _head(path)
    log = Path(f"{path}-wal")
    if not head and log.exists() and log.stat().st_size:
        raise CorruptDatabaseError("empty, beside a log that is not")
    if not head:
        return
    if len(head) < _HEADER.size:
        raise CorruptDatabaseError(f"{len(head)} bytes, too short for a database")
    magic, *_, version, _, application = _HEADER.unpack(head)
    if magic != _MAGIC or application != APPLICATION_ID:
        raise CorruptDatabaseError("not a spool's database")
    if version > FORMAT and identity_format is None:
        raise SpoolVersionError(f"{path} has spool format {version}, this logstreamd knows up to {FORMAT}")
    if not has_whole_header(path):
        raise CorruptDatabaseError("its header is damaged")


def has_whole_header(path: Path) -> bool:
    """Whether every byte of the header that never changes is as it was written; a wrong one garbles every page."""
    head = _head(path)
    if len(head) < _HEADER.size:
        return False
    magic, page_bytes, formats, fractions, schema, root, encoding, version, vacuum, application = _HEADER.unpack(head)
    fixed = (magic, page_bytes, fractions, schema, encoding, vacuum, application)
    expected = (_MAGIC, PAGE_BYTES, b"\x00\x40\x20\x20", 4, 1, 1, APPLICATION_ID)
    return formats in _FILE_FORMATS and fixed == expected and (version, root) in ((1, 4), (FORMAT, 5))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER.size)
    except FileNotFoundError:
        return b""


def create_private(path: Path) -> None:
    """Make sure that the file exists with mode 0600; SQLite gives its log the same mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.executescript(
        f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA} COMMIT;"
    )


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Give a whole database of format 1 what format 2 has more: the table lies where a new file has it too."""
    if _tables(connection) == _expected_tables()[:-1]:
        connection.executescript(f"BEGIN; PRAGMA user_version = {FORMAT}; {POSITIONS_SCHEMA} COMMIT;")


def check_schema(connection: sqlite3.Connection) -> None:
    """See that the tables are a spool's, to the letter and to the page.

    Raises:
        CorruptDatabaseError: a flipped bit in a name, or another program's tables.
    """
    if _tables(connection) not in (_expected_tables(), _expected_tables()[:-1]):
        raise CorruptDatabaseError("its tables are not a spool's")


def _tables(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(QUERIES["schema"]).fetchall()


@cache
def _expected_tables() -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        create_schema(fresh)
        return _tables(fresh)


def read_row(connection: sqlite3.Connection, columns: Sequence[Any]) -> Row:
    """Read the body of a row whose small columns are known.

    Raises:
        CorruptDatabaseError: the table leads to two places.
    """
    seq, appended_at, name, frames, seal = columns
    found = connection.execute(QUERIES["body"], (seq,)).fetchone()
    if found is None:
        raise CorruptDatabaseError(f"batch {seq} is listed and cannot be found")
    return Row(seq, appended_at, name, frames, seal, found[0])


def read_number(connection: sqlite3.Connection, seq: int) -> int | None:
    """Read the number a batch was given; None when it has none, or none that is whole."""
    found = connection.execute(QUERIES["number"], (seq,)).fetchone()
    if found is None or found[1] != number_seal(seq, found[0]):
        return None
    return int(found[0])


def insert_row(connection: sqlite3.Connection, row: Row) -> None:
    """Write a row, its number and the positions that belong to it, inside the caller's transaction."""
    columns = (row.seq, row.appended_at, row.input, row.frames, row.seal, row.body)
    connection.execute(QUERIES["insert"], columns)
    if row.number is not None:
        connection.execute(QUERIES["assign"], (row.seq, row.number, number_seal(row.seq, row.number)))
    write_positions(connection, row.positions)
