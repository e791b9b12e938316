"""Many small blocks → fewer large ones, and blocks without a filter → blocks with one.

A *row belongs* to the block of its day that has the greatest ``first_id`` not above the row's id, and reaches to it.
What holds at any moment, for any snapshot of the database:

1. Every row of ``logs`` belongs to a block, and the block admits it: its times, names and filter cover the row.
2. ``row_count`` and ``severity_counts`` of a block count the rows that belong to it.
3. Blocks of one day overlap in one way only: a block of a single batch may lie in the range of a merged one, because
   the batch was stored after the merge.

So whoever reads the ranges of all blocks that admit what is looked for misses nothing, but may meet a row of a block
that lies within another one twice.

A merge is one transaction with one snapshot (``REPEATABLE READ``). In it the parts are the only blocks that overlap
their range (or nothing is done), so that the rows read back are those that belong to the parts, all of them (1, 2).

=============================== ======================================================================================
meanwhile                       what comes of it
=============================== ======================================================================================
a batch is stored, its ids      its rows and its block are both outside of the snapshot: the block stays beside the
within the range                merged one, and is not touched again (3)
rows are deleted (retention)    whoever deletes rows has the turn (:mod:`.turns`); otherwise it changed the parts'
                                counts, and the merge fails to serialize and is given up
the day is dropped              the same: its blocks are deleted with it
somebody reads                  sees the parts or the merged block, as its snapshot has it
the merge dies                  nothing happened
=============================== ======================================================================================

A block is left alone until its transaction ended :data:`SETTLE_SECONDS` ago: a live tail reads new blocks every
second or so, and batches of other writers whose numbers are lower may still be on their way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import TypeAlias

import asyncpg
import structlog

from logstreamd.storage.merge_plan import Extent, plan_merges
from logstreamd.storage.queries import load_queries
from logstreamd.storage.survey import block_values
from logstreamd.storage.transaction import transaction
from logstreamd.storage.turns import try_turn
from logstreamd.wire.block import Block
from logstreamd.wire.implementation import rows_of_copy, survey_rows

__all__ = ["ROUND_SECONDS", "SETTLE_SECONDS", "BlockMerger", "Merged"]

_log = structlog.get_logger(__name__)
_SQL = load_queries("blocks.sql")

SETTLE_SECONDS = 60.0
ROUND_SECONDS = 1.0
"""How long one round may go on before other work gets its turn."""
WINDOW_BLOCKS = 2_000
"""Blocks looked at at once. Where a day has more, a run may end with the window."""

_FIRST_DAY = date(1, 1, 1)
_Connection: TypeAlias = asyncpg.Connection


@dataclass(slots=True)
class Merged:
    """What one round did.

    Attributes:
        parts: blocks that are gone.
        blocks: blocks that came for them.
        rows: rows that were read back.
        more: whether there was more to do than the time allowed.
    """

    parts: int = 0
    blocks: int = 0
    rows: int = 0
    more: bool = False


class BlockMerger:
    """Merges blocks in short rounds; knows which days have something to do.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, str]] = deque()
        self._settled: str | None = None
        self._days: set[date] = set()

    async def merge(self, connection: _Connection) -> Merged:
        """Do a round.

        Args:
            connection: one that is in no transaction.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, OSError: the database is in trouble.
        """
        merged = Merged()
        settled = await self._settle(connection)
        if settled is None:
            return merged
        deadline = self._clock() + ROUND_SECONDS
        for day in sorted(self._days, reverse=True):
            await self._merge_day(connection, day, settled, deadline, merged)
            if merged.more:
                break
            self._days.discard(day)
        return merged

    async def _settle(self, connection: _Connection) -> str | None:
        """Return the transaction before which all ended long enough ago, and note the days that they are about."""
        now = self._clock()
        self._seen.append((now, await connection.fetchval(_SQL["oldest_running"])))
        settled = None
        while self._seen and self._seen[0][0] <= now - SETTLE_SECONDS:
            settled = self._seen.popleft()[1]
        if settled is None:
            return self._settled
        if self._settled is None:
            self._days = await _days_with_work(connection)
        else:
            rows = await connection.fetch(_SQL["days_since"], self._settled, settled)
            self._days |= {row["day"] for row in rows}
        self._settled = settled
        return settled

    async def _merge_day(
        self, connection: _Connection, day: date, settled: str, deadline: float, merged: Merged
    ) -> None:
        position = 0
        while True:
            found = await connection.fetch(_SQL["window"], day, position, settled, WINDOW_BLOCKS)
            for run in plan_merges([Extent(*row.values()) for row in found]):
                if self._clock() >= deadline or not await _merge_run(connection, day, run, merged):
                    merged.more = True
                    return
            if len(found) < WINDOW_BLOCKS:
                return
            position = found[-1]["first_id"]


async def _days_with_work(connection: _Connection) -> set[date]:
    days: set[date] = set()
    day = date.max
    while (day := await connection.fetchval(_SQL["next_day"], day)) is not None:
        days.add(day)
    return days


async def _merge_run(connection: _Connection, day: date, run: Sequence[Extent], merged: Merged) -> bool:
    """Merge a run, unless something came in between; False when another session has the turn."""
    try:
        async with transaction(connection, "repeatable_read"):
            if not await try_turn(connection):
                return False
            await connection.execute(_SQL["use_indexes"])
            await _replace(connection, day, run, merged)
    except asyncpg.SerializationError:
        _log.debug("blocks changed while they were merged", day=str(day))
    except ValueError as problem:
        _log.warning("rows that logstreamd did not store can't be surveyed", day=str(day), problem=str(problem))
    return True


async def _replace(connection: _Connection, day: date, run: Sequence[Extent], merged: Merged) -> None:
    first_id, last_id = run[0].first_id, run[-1].last_id
    overlapping = await connection.fetch(_SQL["overlapping"], day, first_id, last_id)
    if [tuple(row) for row in overlapping] != [(part.first_id, part.last_id) for part in run]:
        return
    blocks, rows, size = await asyncio.to_thread(_survey, await _read_rows(connection, day, first_id, last_id))
    await connection.execute(_SQL["delete"], day, [part.first_id for part in run])
    for block in blocks:
        await connection.execute(_SQL["insert_merged"], *block_values(block, size / rows))
    merged.parts += len(run)
    merged.blocks += len(blocks)
    merged.rows += rows


async def _read_rows(connection: _Connection, day: date, first_id: int, last_id: int) -> bytes:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    copied = bytearray()

    async def collect(data: bytes) -> None:
        copied.extend(data)

    await connection.copy_from_query(
        _SQL["rows"], first_id, last_id, begin, begin + timedelta(days=1), output=collect, format="binary"
    )
    return bytes(copied)


def _survey(copied: bytes) -> tuple[tuple[Block, ...], int, int]:
    """Return the block of these rows (none when there are no rows), how many they are, and their bytes."""
    rows, row_ends = rows_of_copy(copied)
    blocks, _ = survey_rows(rows, row_ends)
    return blocks, len(row_ends), len(rows)
