"""All blocks with rows since a time: units whose rows never change, so that what is known of them can be kept.

The rows of a batch are stored at once, with their block. What does change is how they are cut into blocks: small
neighbours are merged later, and rows may be deleted. So a unit is identified by its ids and by how many rows it has.
Where blocks overlap (a batch was stored late, into the ids of a merged block) they are one unit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from logstreamd.query.ranges import Range
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["RecentBlocks", "Unit", "read_recent_blocks"]

_SQL = load_queries("tallies.sql", package="logstreamd.query")
_MOST_BLOCKS = 50_000  # 60 ms to list, and 100 million rows or more on a busy system

_MICROSECOND = timedelta(microseconds=1)

_ts_max = attrgetter("ts_max")
_place = attrgetter("day", "first_id")


class Unit(NamedTuple):
    """Blocks of a day whose ids overlap; nearly always a single one.

    Attributes:
        rows: how many it has.
        block_ids: the first ids of its blocks.
    """

    first_id: int
    last_id: int
    rows: int
    day: date
    ts_min: datetime
    ts_max: datetime
    block_ids: tuple[int, ...]

    def as_range(self) -> Range:
        """Return where its rows are."""
        return Range(self.day, self.first_id, self.last_id, self.ts_min, self.ts_max, self.rows)


class RecentBlocks:
    """The units that have rows since a time, in one state of the database.

    Args:
        start: the time.
        units: in any order.

    Attributes:
        start: the time.
        all: the units.
    """

    def __init__(self, start: datetime, units: Iterable[Unit]) -> None:
        self.start = start
        self._units = sorted(units, key=_ts_max)
        self.all = frozenset(self._units)
        self._within: dict[tuple[datetime, datetime], frozenset[Unit]] = {}

    def within(self, start: datetime, end: datetime) -> frozenset[Unit]:
        """Return the units that may have rows from one time on and before another."""
        if (start, end) not in self._within:
            since = self._units[bisect_left(self._units, start, key=_ts_max) :]
            self._within[start, end] = frozenset(unit for unit in since if unit.ts_min < end)
        return self._within[start, end]


async def read_recent_blocks(
    connection: Connection, start: datetime, before: RecentBlocks | None = None
) -> RecentBlocks:
    """List them, as many as are kept in memory.

    Args:
        connection: sees the blocks.
        start: the time.
        before: an earlier list; units that are in it still are the same objects, which are quickly compared.
    """
    rows = await connection.fetch(_SQL["recent_blocks"], start, _MOST_BLOCKS)
    blocks = [Range(*row) for row in rows]
    if len(blocks) == _MOST_BLOCKS:
        start = blocks[-1].ts_max + _MICROSECOND
    known = {unit: unit for unit in before.all} if before is not None else {}
    return RecentBlocks(start, (known.get(unit, unit) for unit in _units(sorted(blocks, key=_place))))


def _units(blocks: Iterable[Range]) -> Iterator[Unit]:
    """Join blocks that overlap; they come in the order of days and ids."""
    unit: Unit | None = None
    for block in blocks:
        if unit is not None and unit.day == block.day and block.first_id <= unit.last_id:
            unit = _join(unit, block)
            continue
        if unit is not None:
            yield unit
        unit = Unit(block.first_id, block.last_id, block.rows, block.day, block.ts_min, block.ts_max, (block.first_id,))
    if unit is not None:
        yield unit


def _join(unit: Unit, block: Range) -> Unit:
    return Unit(
        unit.first_id,
        max(unit.last_id, block.last_id),
        unit.rows + block.rows,
        unit.day,
        min(unit.ts_min, block.ts_min),
        max(unit.ts_max, block.ts_max),
        (*unit.block_ids, block.first_id),
    )
