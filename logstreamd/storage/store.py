"""A batch → one transaction: its marker, its rows, its blocks and counts, and its poison in quarantine.

The marker ``(spool_id, seq)`` goes in first. When it is there already the batch was stored by an attempt whose answer
got lost, and nothing is written again. While another backend still holds it uncommitted (a connection that died on
our side and not yet on the server's) the insert waits, runs into ``lock_timeout`` and is tried again later. A batch of
an HTTP request that may be sent twice brings a second marker, the request's, which is stored in the same way.

Rows that PostgreSQL refuses are found by the line its error points at, not by trial: everything before that line is
good, the row itself goes to ``quarantine`` with its raw bytes, and the rest is tried again. An error without a line
(a trigger's, for example) is narrowed down by halves. Blocks and counts are of the rows that were stored.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import asyncpg

from logstreamd import faults, tracing
from logstreamd.record import COLUMNS
from logstreamd.storage.errors import Failure, classify, copy_line
from logstreamd.storage.queries import load_queries
from logstreamd.storage.survey import insert_survey
from logstreamd.storage.transaction import transaction
from logstreamd.wire.batch import Batch
from logstreamd.wire.block import without_rows
from logstreamd.wire.copy_binary import Encoded

__all__ = ["Stored", "store_batch"]

_SQL = load_queries("store.sql")
# Names of OpenTelemetry's conventions. The driver makes no span of a COPY.
_DATABASE_ATTRIBUTES = {"db.system.name": "postgresql"}
_COPY_ATTRIBUTES = {**_DATABASE_ATTRIBUTES, "db.operation.name": "COPY", "db.collection.name": "logs"}
_CHUNK_BYTES = 256 * 1024  # what is handed to the driver at once: bounds what is sent after the server said no


@dataclass(slots=True)
class Stored:
    """What became of a batch.

    Attributes:
        rows: stored in ``logs``.
        quarantined: kept in ``quarantine``.
        duplicate: not stored, because the same request was stored before.
        repeated: the batch was stored by an earlier attempt, and nothing was done now.
    """

    rows: int
    quarantined: int = 0
    duplicate: int = 0
    repeated: bool = False


async def store_batch(
    connection: asyncpg.Connection, batch: Batch, encoded: Encoded, *, spool_id: UUID, seq: int
) -> Stored:
    """Store a batch exactly once.

    Args:
        connection: one that is in no transaction.
        batch: the frozen batch, for the raw bytes of refused rows.
        encoded: the same batch as rows.
        spool_id: whose batch it is.
        seq: its number in that spool.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: nothing was stored, or the connection was lost during
            the commit and it can't be told; the same call on another connection finds out.
    """
    faults.hit("pg.begin")
    async with transaction(connection):
        if await connection.fetchval(_SQL["mark"], spool_id, seq, len(batch)) is None:
            (became,) = await connection.fetch(_SQL["became_of"], spool_id, seq)
            rows, quarantined = became["row_count"], became["quarantined"]
            return Stored(rows - quarantined, quarantined, duplicate=len(batch) - rows, repeated=True)
        faults.hit("pg.marker")
        if batch.request and await connection.fetchval(_SQL["mark_request"], *batch.request) is None:
            await connection.execute(_SQL["mark_nothing_stored"], spool_id, seq)
            return Stored(0, duplicate=len(batch))
        with tracing.span("COPY", "client", attributes={**_COPY_ATTRIBUTES, "logstreamd.rows": len(encoded)}) as span:
            poison = await _copy_all(connection, encoded)
            span.set("logstreamd.quarantined", len(poison))
        if poison:
            await connection.executemany(_SQL["quarantine"], _quarantine_rows(batch, poison, spool_id, seq))
        await _insert_survey(connection, encoded, poison)
        faults.hit("pg.before_commit")
        committing_ns = time.time_ns()
    tracing.record(
        "commit", "client", started_ns=committing_ns, ended_ns=time.time_ns(), attributes=_DATABASE_ATTRIBUTES
    )
    faults.hit("pg.after_commit")
    return Stored(len(batch) - len(poison), len(poison))


async def _insert_survey(connection: asyncpg.Connection, encoded: Encoded, poison: Collection[int]) -> None:
    blocks, counts = encoded.blocks, encoded.counts
    if poison:
        blocks, counts = without_rows(blocks, counts, map(encoded.counted_as, poison))
        # A name may be what was refused; it must not sink the batch here. A block without names is read when in doubt.
        blocks = tuple(replace(block, services=None, hosts=None) for block in blocks)
    await insert_survey(connection, blocks, counts, bytes_per_row=len(encoded.rows) / len(encoded))


async def _copy_all(connection: asyncpg.Connection, encoded: Encoded) -> dict[int, str]:
    """Copy every row that PostgreSQL takes; return the others by position, with the reason."""
    poison: dict[int, str] = {}
    start, attempt = 0, len(encoded)
    while start < len(encoded):
        end = min(start + attempt, len(encoded))
        refused = await _try_copy(connection, encoded, start, end)
        if refused is None:
            start, attempt = end, attempt * 2
            continue
        line, reason = refused
        if line is None and end - start > 1:
            attempt = (end - start) // 2
            continue
        bad = start + (line or 0)
        if bad > start and await _try_copy(connection, encoded, start, bad) is not None:
            attempt = max(1, (bad - start) // 2)  # the line was not the culprit after all
            continue
        poison[bad] = reason
        # A batch full of poison is not sent over and over: after a refusal the next attempt is not larger than
        # what went well before it.
        start, attempt = bad + 1, max(1, bad - start)
    return poison


async def _try_copy(
    connection: asyncpg.Connection, encoded: Encoded, start: int, end: int
) -> tuple[int | None, str] | None:
    """Copy the rows ``start`` to ``end``; None when they are in, else (line or None, reason) and none is in."""
    try:
        async with transaction(connection):
            await connection.copy_to_table(
                "logs", source=_stream(encoded, start, end), columns=COLUMNS, format="binary"
            )
    except asyncpg.PostgresError as problem:
        if classify(problem) is not Failure.POISON:
            raise
        return copy_line(problem), f"{problem.sqlstate} {problem}"
    faults.hit("pg.copied")
    return None


async def _stream(encoded: Encoded, start: int, end: int) -> AsyncIterator[bytes]:
    for number, chunk in enumerate(_chunks(encoded.copy_stream(start, end))):
        if number == 2:  # the header and the first rows are on their way
            faults.hit("pg.copy_half")
        yield cast(bytes, chunk)  # the driver takes any buffer


def _chunks(pieces: Iterable[bytes | memoryview]) -> Iterable[bytes | memoryview]:
    for piece in pieces:
        for offset in range(0, len(piece), _CHUNK_BYTES):
            yield piece[offset : offset + _CHUNK_BYTES]


def _quarantine_rows(batch: Batch, poison: dict[int, str], spool_id: UUID, seq: int) -> list[tuple[Any, ...]]:
    return [
        (
            datetime.fromtimestamp(batch.received_at[position] / 1_000_000, UTC),
            batch.input,
            batch.address(position),
            reason,
            batch.frame(position),
            spool_id,
            seq,
            position,
        )
        for position, reason in poison.items()
    ]
