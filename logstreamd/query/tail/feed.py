"""What was stored since a moment: blocks first, then the rows of those that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from logstreamd.query.database import Database
from logstreamd.query.tail.position import Position
from logstreamd.query.tail.rows import Row, read_record
from logstreamd.storage.queries import load_queries

__all__ = ["Delta", "Feed", "StoredBatch", "StoredBlock"]

_SQL = load_queries("tail.sql", package="logstreamd.query")

_BLOCK_COLUMNS = (
    "day", "first_id", "last_id", "ts_min", "ts_max", "row_count", "severity_counts", "services", "hosts", "seen"
)  # fmt: skip

MAX_BLOCKS = 1_000
"""Blocks of one answer: at full speed 20 seconds' worth. Of more, after an outage, the newest are taken."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A row of ``blocks``, the filter of tokens only when it was asked for.

    Attributes:
        seen: it belongs to the round that the position is in the middle of.
        from_id: where to begin to read; the rows before were shown already.
    """

    day: date
    first_id: int
    last_id: int
    ts_min: datetime
    ts_max: datetime
    row_count: int
    severity_counts: Sequence[int]
    services: Sequence[str] | None
    hosts: Sequence[str] | None
    seen: bool
    from_id: int
    bloom: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """The blocks of one batch: one for each day."""

    number: int
    blocks: tuple[StoredBlock, ...]

    @property
    def seen(self) -> bool:
        """Whether it belongs to the round that the position is in the middle of."""
        return self.blocks[0].seen  # one transaction stored them all

    @property
    def row_count(self) -> int:
        """Rows in all of them."""
        return sum(block.row_count for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Delta:
    """What one snapshot of the database sees and an earlier one does not.

    Attributes:
        snapshot: the later one.
        batches: by number.
        rows_left_out: rows of older batches that there was no room for.
    """

    snapshot: str
    batches: list[StoredBatch]
    rows_left_out: int


class Feed:
    """Asks the database.

    Args:
        database: with connections that nobody else waits for.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self) -> str:
        """Return what is stored now.

        Raises:
            QueryTimeoutError, UnavailableError: as for every question; so do the other methods.
        """
        async with self._database.reading() as connection:
            return str(await connection.fetchval(_SQL["position"]))

    async def since(self, position: Position, until: str | None = None) -> Delta:
        """Return the batches that were stored since, and not shown.

        Args:
            position: since when.
            until: what this snapshot does not see is left out.
        """
        async with self._database.reading() as connection:
            found = await connection.fetch(_SQL["stored_since"], position.before, position.now, MAX_BLOCKS, until)
        blocks = [_read_block(row, position.row_id) for row in found if row["first_id"] is not None]
        left_out = found[0]["all_rows"] - sum(block.row_count for block in blocks) if blocks else 0
        unseen = [block for block in blocks if block.from_id <= block.last_id]
        return Delta(found[0]["position"], _by_batch(unseen), left_out)

    async def with_blooms(self, batches: Sequence[StoredBatch]) -> list[StoredBatch]:
        """Return the same batches with the filters of their tokens."""
        blocks = [block for batch in batches for block in batch.blocks]
        if not blocks:
            return []
        async with self._database.reading() as connection:
            found = await connection.fetch(
                _SQL["blooms"], [block.day for block in blocks], [block.first_id for block in blocks]
            )
        blooms = {(row["day"], row["first_id"]): row["bloom"] for row in found}
        return _by_batch([replace(block, bloom=blooms.get((block.day, block.first_id))) for block in blocks])

    async def rows(self, batches: Sequence[StoredBatch], limit: int) -> dict[int, list[Row]]:
        """Return the rows of batches by the number of the batch, in the order of their ids; so many at most."""
        blocks = [block for batch in batches for block in batch.blocks]
        if not blocks:
            return {}
        async with self._database.reading() as connection:
            found = await connection.fetch(
                _SQL["rows"],
                [block.ts_min for block in blocks],
                [block.ts_max for block in blocks],
                [block.from_id for block in blocks],
                [block.last_id for block in blocks],
                limit,
            )
        rows = map(read_record, found)
        return {number: list(group) for number, group in groupby(rows, lambda row: row["id"] >> 16)}


def _read_block(row: Any, shown_id: int) -> StoredBlock:
    columns = {name: row[name] for name in _BLOCK_COLUMNS}
    from_id = max(row["first_id"], shown_id + 1) if row["seen"] else row["first_id"]
    return StoredBlock(**columns, from_id=from_id)


def _by_batch(blocks: Sequence[StoredBlock]) -> list[StoredBatch]:
    """Gather blocks that are sorted by id."""
    groups = groupby(blocks, lambda block: block.first_id >> 16)
    return [StoredBatch(number, tuple(group)) for number, group in groups]
