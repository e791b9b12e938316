"""Blocks and counts of a batch → their tables, in the transaction that stores its rows.

All counts of a batch are one row of ``batch_counts``, as arrays: adding 250 rows to an indexed table takes three times
as long, and nobody has to wait for the sums (:mod:`.counts` folds them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries
from logstreamd.wire.block import Block, Count

__all__ = ["block_values", "insert_survey"]

_SQL = load_queries("survey.sql")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


async def insert_survey(
    connection: Connection, blocks: Sequence[Block], counts: Sequence[Count], *, bytes_per_row: float
) -> None:
    """Store what a batch is about.

    Args:
        connection: in the transaction that stores the rows.
        blocks: one for each day of the batch; none when no row was stored.
        counts: of the same rows.
        bytes_per_row: the mean of the batch.
    """
    if not blocks:
        return
    first, *others = (block_values(block, bytes_per_row) for block in blocks)
    await connection.execute(_SQL["insert_counts_and_block"], *first, *_count_values(counts))
    if others:
        await connection.executemany(_SQL["insert_block"], others)


def block_values(block: Block, bytes_per_row: float) -> tuple[Any, ...]:
    """Return a block as the columns of the table, from ``day`` to ``bloom``."""
    return (
        date.fromordinal(_EPOCH_ORDINAL + block.day),
        block.first_id,
        block.last_id,
        _EPOCH + timedelta(microseconds=block.ts_min),
        _EPOCH + timedelta(microseconds=block.ts_max),
        block.row_count,
        round(block.row_count * bytes_per_row),
        block.severity_counts,
        block.services,
        block.hosts,
        block.bloom,
    )


def _count_values(counts: Sequence[Count]) -> tuple[Any, ...]:
    totals: Counter[tuple[int, int]] = Counter()
    for minute, _, severity, rows in counts:
        totals[minute, severity] += rows
    minutes, services, severities, rows_of = zip(*counts, strict=True)
    total_minutes, total_severities = zip(*totals, strict=True)
    return minutes, services, severities, rows_of, total_minutes, total_severities, tuple(totals.values())
