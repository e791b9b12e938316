"""The blocks that may hold rows of a scope, in the order of time, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from logstreamd.query.block_conditions import BlockConditions
from logstreamd.query.ranges import Range, merge_ranges
from logstreamd.query.scope import Scope
from logstreamd.query.templates import fill
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["BlockList", "Order", "count_skipped", "matching_ranges"]

Order = Literal["desc", "asc"]

_SQL = load_queries("blocks.sql", package="logstreamd.query")
_PAGE_BLOCKS = 4_096  # of some 100 bytes each


class BlockList:
    """Lists blocks newest first (by their latest row), or oldest first (by their earliest).

    Args:
        connection: in a transaction that sees one state of the database: a block that is merged between two pages would
            be missed.
        scope: the rows in question.
        order: ``desc`` is newest first.
    """

    def __init__(self, connection: Connection, scope: Scope, order: Order) -> None:
        self._connection = connection
        conditions = BlockConditions(scope, 4)
        self._statement = fill(_SQL["newest" if order == "desc" else "oldest"], conditions=conditions.all())
        self._parameters = conditions.parameters
        self._newest_first = order == "desc"
        edge = datetime.max if self._newest_first else datetime.min
        self._after: tuple[datetime, int] = (edge.replace(tzinfo=UTC), 0)

    async def next(self, at_most: int) -> list[Range]:
        """Return the next blocks; fewer than ``at_most`` are the last ones."""
        rows = await self._connection.fetch(self._statement, *self._after, at_most, *self._parameters)
        blocks = [Range(*row) for row in rows]
        if blocks:
            last = blocks[-1]
            self._after = (last.ts_max if self._newest_first else last.ts_min, last.first_id)
        return blocks


async def matching_ranges(connection: Connection, scope: Scope) -> list[Range]:
    """Return where all rows of a scope lie, and as few others as the blocks can tell.

    Args:
        connection: see :class:`BlockList`.
        scope: the rows in question; the filter has to be asked of each row still, and the time range, too.

    Returns:
        Ranges by day and id. A row lies in one of them at most, as long as its day is asked for beside its id.
    """
    blocks, found = BlockList(connection, scope, "asc"), list[Range]()
    while page := await blocks.next(_PAGE_BLOCKS):
        found = merge_ranges([*found, *page])
        if len(page) < _PAGE_BLOCKS:
            break
    return found


async def count_skipped(connection: Connection, scope: Scope) -> dict[str | None, int]:
    """Count all blocks by the reason for which they are skipped; None are those that are not."""
    conditions = BlockConditions(scope, 1)
    statement = fill(_SQL["skipped"], reasons=conditions.reasons())
    return {row["reason"]: row["blocks"] for row in await connection.fetch(statement, *conditions.parameters)}
