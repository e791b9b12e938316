"""Look into a spool directory from outside: what is in it, batch by batch, frame by frame.

Nothing is changed and no lock is taken; it works beside a running daemon too. Every batch is read in a transaction of
its own, so that a long export never keeps the daemon from emptying its log. For a process of its own only: closing a
database file lets go of every lock its process has on it.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logstreamd.spool.directory import SpoolDirectory
from logstreamd.spool.file_format import READ_ERRORS, CorruptDatabaseError, connect, probe, read_number, read_row
from logstreamd.spool.interface import SpoolError
from logstreamd.spool.rows import Row
from logstreamd.spool.statements import QUERIES
from logstreamd.wire.batch import Batch
from logstreamd.wire.batch_codec import CorruptBatch
from logstreamd.wire.sender import split_sender

__all__ = ["BatchSummary", "SpoolStatus", "batch_summaries", "export_frames", "spool_status"]


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """What a spool directory holds."""

    directory: Path
    id: str | None
    owner_pid: int | None
    """The daemon that runs on it, None when it is down."""
    batches: int
    frames_by_input: dict[str, int]
    body_bytes: int
    file_bytes: int
    oldest_appended_at: int | None
    """Microseconds since the epoch."""
    set_aside: tuple[str, ...]
    """Corrupt files and bodies that were moved out of the way."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """One batch, as its small columns say."""

    seq: int
    input: str
    frames: int
    body_bytes: int
    appended_at: int
    """Microseconds since the epoch."""
    number: int | None
    """The batch number of its first attempt, None before that."""
    problem: str | None
    """Why it cannot be read, None for a whole one."""


def spool_status(path: Path) -> SpoolStatus:
    """Count what a spool directory holds.

    Args:
        path: the directory.

    Raises:
        SpoolError: there is no spool, a newer version's, or one that cannot be read.
    """
    directory = SpoolDirectory(path)
    identity = directory.identity()
    with closing(_open(directory)) as connection, _readable(path):
        counts = connection.execute(QUERIES["summary"]).fetchall()
        body_bytes = sum(length for (length,) in connection.execute(QUERIES["lengths"]))
        oldest = connection.execute(QUERIES["after"], (0,)).fetchone()
    return SpoolStatus(
        directory=path,
        id=str(identity.id) if identity else None,
        owner_pid=directory.owner_pid(),
        batches=sum(batches for _, batches, _ in counts),
        frames_by_input={name: frames for name, _, frames in counts},
        body_bytes=body_bytes,
        file_bytes=directory.file_bytes(),
        oldest_appended_at=oldest[1] if oldest else None,
        set_aside=tuple(sorted(_set_aside(path))),
    )


def batch_summaries(path: Path) -> Iterator[BatchSummary]:
    """Yield every batch in the order of seq, after having read and checked it.

    Raises:
        SpoolError: as :func:`spool_status`.
    """
    for row in _rows(path):
        yield BatchSummary(
            seq=row.seq,
            input=row.input,
            frames=row.frames,
            body_bytes=len(row.body),
            appended_at=row.appended_at,
            number=row.number,
            problem=_problem(row),
        )


def export_frames(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every frame in the order of arrival, ready to be a line of JSON.

    Yields:
        ``seq``, ``input``, ``peer`` (of a line of a file: its path) and what else is known of the sender as ``known``,
        ``received_at`` (microseconds since the epoch), ``flags``, and ``frame`` as text or ``frame_base64`` when it is
        not UTF-8. A batch that cannot be read gives one object with ``seq``, ``input``
        and ``problem``.

    Raises:
        SpoolError: as :func:`spool_status`.
    """
    for row in _rows(path):
        try:
            batch = row.batch()
        except CorruptBatch as error:
            yield {"seq": row.seq, "input": row.input, "problem": str(error)}
            continue
        for index, frame in enumerate(batch.frames()):
            yield {
                "seq": row.seq,
                "input": batch.input,
                **_sender(batch, index),
                "received_at": batch.received_at[index],
                "flags": batch.flags[index],
                **_text_or_base64(frame),
            }


def _sender(batch: Batch, index: int) -> dict[str, Any]:
    peer = batch.peers[batch.peer_ids[index]]
    if batch.positions is not None:
        return {"peer": peer}
    address, known = split_sender(peer)
    return {"peer": address, "known": known} if known else {"peer": address}


def _rows(path: Path) -> Iterator[Row]:
    """Read the rows one by one; those that a running daemon stores meanwhile are passed over."""
    seq = 0
    with closing(_open(SpoolDirectory(path))) as connection, _readable(path):
        while (row := _row_after(connection, seq)) is not None:
            yield row
            seq = row.seq


def _row_after(connection: sqlite3.Connection, seq: int) -> Row | None:
    connection.execute("BEGIN")  # one view of the row and its body
    try:
        found = connection.execute(QUERIES["after"], (seq,)).fetchone()
        if found is None:
            return None
        row = read_row(connection, found[:-1])
        row.number = read_number(connection, row.seq)
        return row
    finally:
        connection.execute("COMMIT")


def _problem(row: Row) -> str | None:
    try:
        row.batch()
    except CorruptBatch as error:
        return str(error)
    return None


def _text_or_base64(frame: bytes) -> dict[str, str]:
    try:
        return {"frame": frame.decode("utf-8")}
    except UnicodeDecodeError:
        return {"frame_base64": base64.b64encode(frame).decode("ascii")}


def _set_aside(path: Path) -> Iterator[str]:
    for found in (*path.glob("spool.db.corrupt-*"), *path.glob("corrupt/*")):
        yield str(found.relative_to(path))


def _open(directory: SpoolDirectory) -> sqlite3.Connection:
    if not directory.database.exists():
        raise SpoolError(f"there is no spool in {directory.path}")
    identity = directory.identity()
    with _readable(directory.path):
        probe(directory.database, identity.format if identity else None)
        return connect(directory.database, mode="ro")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say it as a SpoolError when the directory cannot be read."""
    try:
        yield
    except (*READ_ERRORS, OSError, CorruptDatabaseError) as error:
        raise SpoolError(f"the spool {path} cannot be read: {error}") from error
