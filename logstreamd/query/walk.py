"""Rows newest (or oldest) first, block after block, until the limit is full and no further block can beat it.

A block is read whole, since rows are not sorted by time on disk. The first read is of one block, unless there are only
few; each further one is of four times as many rows, so that a common word costs a block and a rare one few statements.
What is long is divided between two connections that see the same state of the database.

Errors of few services have an index. It is the better way unless the blocks leave little to read.

Invariant: every stored row lies in a block. It is written in the transaction of the row's batch, and for rows that are
older than the table of blocks when the database is migrated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any

import asyncpg

from logstreamd.query.deadline import Deadline
from logstreamd.query.filter import to_sql
from logstreamd.query.filter.restrictions import restrictions
from logstreamd.query.plan import BlockList, Order
from logstreamd.query.ranges import Range, day_bounds, halve, merge_ranges
from logstreamd.query.scope import Scope
from logstreamd.query.templates import fill
from logstreamd.record import Severity
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["Step", "Walk"]

_SQL = load_queries("logs.sql", package="logstreamd.query")
# Blocks that are asked for at once, and rows that are read at once: at first, and at most. A block of a busy system has
# some 10,000 rows, which take 3 to 7 ms; the most take a second or two.
_FIRST_BLOCKS, _MOST_BLOCKS = 64, 4_096
_FIRST_ROWS, _MOST_ROWS = 8_192, 2_097_152
_GROWTH = 4
_MAX_RANGES = 64  # of ids in one statement; each costs a look at the BRIN
_SHARED_ROWS = 16_384  # read at once from here on by two: half of it takes longer than it takes to get the second one
_MICROSECOND = timedelta(microseconds=1)

_MAX_INDEXED_SERVICES = 8  # each is asked for by itself
_FEW_ROWS = 32_768  # in the blocks that are left: quicker read than their errors fetched one by one
_INDEXED_SEVERITIES = frozenset(severity for severity in Severity if severity <= Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Step:
    """What a search did, for people who ask why.

    Attributes:
        does: ``list blocks``, ``read blocks`` or ``read index``.
        ms: how long it took.
        blocks: that were listed or read.
        rows: in the blocks that were read, about.
        found: rows that the filter took, up to the limit.
    """

    does: str
    ms: float
    blocks: int = 0
    rows: int = 0
    found: int = 0


@dataclass(slots=True)
class Walk:
    """One search under way.

    Attributes:
        connection: in a transaction that sees one state of the database.
        help: returns a second connection that sees the same, or None; asked for once.
        scope: the rows in question.
        order: ``desc`` is newest first.
        after: continue behind this row, given by time and id.
        limit: rows at most.
        deadline: for all statements.
        steps: what was done so far.
        asked: the scope behind the cursor.
    """

    connection: Connection
    help: Callable[[], Awaitable[Connection | None]]
    scope: Scope
    order: Order
    after: tuple[datetime, int] | None
    limit: int
    deadline: Deadline
    steps: list[Step]
    asked: Scope = field(init=False)
    _open: Scope = field(init=False)  # the times that still matter: fewer as rows are found
    _rows: list[asyncpg.Record] = field(default_factory=list)
    _read_at_once: int = field(default_factory=lambda: _FIRST_ROWS)
    _helper: Connection | None = None
    _asked_for_help: bool = False

    def __post_init__(self) -> None:
        self.asked = self._open = self.scope
        if self.after is not None:
            self.asked = self._open = self._behind(self.after[0])

    async def run(self) -> list[asyncpg.Record]:
        """Return the rows in order.

        Raises:
            QueryTimeoutError: the deadline is over.
        """
        blocks, at_most = BlockList(self.connection, self.asked, self.order), _FIRST_BLOCKS
        page = await self._list(blocks, at_most)
        services = self._indexed_services()
        if services and (len(page) == at_most or sum(block.rows for block in page) > _FEW_ROWS):
            await self._read_index(services)
            return self._rows
        if len(page) < at_most:
            self._read_at_once *= _GROWTH
        while await self._read_page(page) and len(page) == at_most:
            at_most = min(at_most * _GROWTH, _MOST_BLOCKS)
            page = await self._list(blocks, at_most)
        return self._rows

    async def _list(self, blocks: BlockList, at_most: int) -> list[Range]:
        await self.deadline.hold(self.connection)
        started = time.perf_counter()
        page = await blocks.next(at_most)
        self.steps.append(Step("list blocks", _ms_since(started), blocks=len(page)))
        return page

    async def _read_page(self, page: list[Range]) -> bool:
        """Read blocks in their order; return False when the first of those that are left, and so all, can't matter."""
        for blocks in self._portions(page):
            if not self._matters(blocks[0]):
                return False
            started = time.perf_counter()
            rows = sum(block.rows for block in blocks)
            found = await self._read_shared(merge_ranges(blocks), rows)
            self.steps.append(Step("read blocks", _ms_since(started), len(blocks), rows, found))
            self._read_at_once = min(self._read_at_once * _GROWTH, _MOST_ROWS)
        return True

    def _portions(self, page: list[Range]) -> Iterator[list[Range]]:
        """Yield blocks, as many as are to be read at once."""
        portion: list[Range] = []
        rows = 0
        for block in page:
            if portion and rows + block.rows > self._read_at_once:
                yield portion
                portion, rows = [], 0
            portion.append(block)
            rows += block.rows
        if portion:
            yield portion

    async def _read_shared(self, ranges: list[Range], rows: int) -> int:
        """Read ranges, alone or with help; return how many rows were found."""
        helper = await self._get_help() if rows >= _SHARED_ROWS else None
        if helper is None:
            return await self._read(self.connection, ranges)
        mine, others = halve(ranges)
        other = asyncio.create_task(self._read(helper, others))
        try:
            return await self._read(self.connection, mine) + await other
        finally:
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)

    async def _get_help(self) -> Connection | None:
        if not self._asked_for_help:
            self._asked_for_help = True
            self._helper = await self.help()
        return self._helper

    async def _read(self, connection: Connection, ranges: list[Range]) -> int:
        found = 0
        for _, of_day in groupby(ranges, key=lambda one: one.day):
            while some := list(islice(of_day, _MAX_RANGES)):
                found += await self._read_day(connection, some)
        return found

    async def _read_day(self, connection: Connection, ranges: list[Range]) -> int:
        """Read ranges of one day, and with it of one partition."""
        begin, end = day_bounds(ranges[0].day)
        within = replace(self._open, start=max(self._open.start, begin), end=min(self._open.end, end))
        ids = " OR ".join(
            fill(_SQL["ids"], first=f"${6 + 2 * number}", last=f"${7 + 2 * number}") for number in range(len(ranges))
        )
        bounds = [bound for one in ranges for bound in (one.first_id, one.last_id)]
        query = "newest" if self.order == "desc" else "oldest"
        return await self._ask(connection, query, within, bounds, ids=ids)

    async def _read_index(self, services: list[str]) -> None:
        started = time.perf_counter()
        query = "newest_errors" if self.order == "desc" else "oldest_errors"
        found = await self._ask(self.connection, query, self.asked, [services])
        self.steps.append(Step("read index", _ms_since(started), found=found))

    async def _ask(self, connection: Connection, query: str, within: Scope, more: list[Any], **holes: str) -> int:
        """Ask for rows and keep the best; return how many there were."""
        condition, parameters = to_sql(self.scope.filter, 6 + len(more))
        statement = fill(_SQL[query], filter=condition, **holes)
        await self.deadline.hold(connection)
        after = self.after or (None, None)
        rows = await connection.fetch(statement, within.start, within.end, *after, self.limit, *more, *parameters)
        self._keep(rows)
        return len(rows)

    def _keep(self, rows: list[asyncpg.Record]) -> None:
        # By id: blocks may overlap, so that two reads find the same row.
        found = {row["id"]: row for row in (*self._rows, *rows)}
        newest_first = self.order == "desc"
        best = sorted(found.values(), key=lambda row: (row["ts"], row["id"]), reverse=newest_first)
        self._rows = best[: self.limit]
        if len(self._rows) == self.limit:
            self._open = self._up_to(self._rows[-1]["ts"])

    def _up_to(self, ts: datetime) -> Scope:
        """Return what still matters when the limit is full, and this is the time of the last row."""
        if self.order == "desc":
            return replace(self._open, start=max(self._open.start, ts))
        return _through(self._open, ts)

    def _behind(self, ts: datetime) -> Scope:
        """Return what is left behind a cursor; rows of the same time may be left."""
        if self.order == "desc":
            return _through(self.scope, ts)
        return replace(self.scope, start=max(self.scope.start, ts))

    def _matters(self, block: Range) -> bool:
        return block.ts_max >= self._open.start if self.order == "desc" else block.ts_min < self._open.end

    def _indexed_services(self) -> list[str]:
        """Return the services that a row must be of, if only their errors are asked for and they are few."""
        allowed = restrictions(self.scope.filter)
        if allowed.services is None or allowed.services.prefixes or not allowed.severities <= _INDEXED_SEVERITIES:
            return []
        return sorted(allowed.services.exact) if len(allowed.services.exact) <= _MAX_INDEXED_SERVICES else []


def _through(scope: Scope, ts: datetime) -> Scope:
    """Return a scope that ends with a time, or as before when that was earlier."""
    return scope if ts >= scope.end else replace(scope, end=ts + _MICROSECOND)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1_000, 3)
