"""Rows newest (or oldest) first, block after block, until the limit is full and no further block can beat it.

A block is read whole, since rows are not sorted by time on disk. The first read is of one block; each further one of
four times as many rows, so that a common word costs a block and a rare one few statements. Blocks of one read lie in
one day, and with it in one partition; PostgreSQL reads long ones with several processes.

Errors of few services have an index. It is the better way unless the blocks leave little to read.

Invariant: every stored row lies in a block. It is written in the transaction of the row's batch, and for rows that are
older than the table of blocks when the database is migrated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import asyncpg

from logstreamd.query.deadline import Deadline
from logstreamd.query.filter import to_sql
from logstreamd.query.filter.restrictions import restrictions
from logstreamd.query.plan import BlockList, Order
from logstreamd.query.ranges import Range, day_bounds, merge_ranges
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
        scope: the rows in question; narrowed to the times that still matter as rows are found.
        order: ``desc`` is newest first.
        after: continue behind this row, given by time and id.
        limit: rows at most.
        deadline: for all statements.
        steps: what was done so far.
    """

    connection: Connection
    scope: Scope
    order: Order
    after: tuple[datetime, int] | None
    limit: int
    deadline: Deadline
    steps: list[Step] = field(default_factory=list)
    _rows: list[asyncpg.Record] = field(default_factory=list)
    _read_at_once: int = _FIRST_ROWS

    async def run(self) -> list[asyncpg.Record]:
        """Return the rows in order.

        Raises:
            QueryTimeoutError: the deadline is over.
        """
        self._begin_behind_the_cursor()
        blocks, at_most = BlockList(self.connection, self.scope, self.order), _FIRST_BLOCKS
        page = await self._list(blocks, at_most)
        services = self._indexed_services()
        if services and (len(page) == at_most or sum(block.rows for block in page) > _FEW_ROWS):
            await self._read_index(services)
            return self._rows
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
            ranges = iter(merge_ranges(blocks))
            found = 0
            while some := list(islice(ranges, _MAX_RANGES)):
                found += await self._read(some)
            rows = sum(block.rows for block in blocks)
            self.steps.append(Step("read blocks", _ms_since(started), len(blocks), rows, found))
            self._read_at_once = min(self._read_at_once * _GROWTH, _MOST_ROWS)
        return True

    def _portions(self, page: list[Range]) -> Iterator[list[Range]]:
        """Yield blocks of one day, as many as are to be read at once."""
        portion: list[Range] = []
        rows = 0
        for block in page:
            if portion and (rows + block.rows > self._read_at_once or block.day != portion[0].day):
                yield portion
                portion, rows = [], 0
            portion.append(block)
            rows += block.rows
        if portion:
            yield portion

    async def _read(self, ranges: list[Range]) -> int:
        ids, bounds = [], []
        for number, one in enumerate(ranges):
            ids.append(fill(_SQL["ids"], first=f"${6 + 2 * number}", last=f"${7 + 2 * number}"))
            bounds += [one.first_id, one.last_id]
        query = "newest" if self.order == "desc" else "oldest"
        begin, end = day_bounds(ranges[0].day)
        within = replace(self.scope, start=max(self.scope.start, begin), end=min(self.scope.end, end))
        return await self._ask(query, within, bounds, ids=" OR ".join(ids))

    async def _read_index(self, services: list[str]) -> None:
        started = time.perf_counter()
        query = "newest_errors" if self.order == "desc" else "oldest_errors"
        found = await self._ask(query, self.scope, [services])
        self.steps.append(Step("read index", _ms_since(started), found=found))

    async def _ask(self, query: str, within: Scope, more: list[Any], **holes: str) -> int:
        """Ask for rows and keep the best; return how many there were."""
        condition, parameters = to_sql(self.scope.filter, 6 + len(more))
        statement = fill(_SQL[query], filter=condition, **holes)
        await self.deadline.hold(self.connection)
        after = self.after or (None, None)
        rows = await self.connection.fetch(statement, within.start, within.end, *after, self.limit, *more, *parameters)
        self._keep(rows)
        return len(rows)

    def _keep(self, rows: list[asyncpg.Record]) -> None:
        # By id: blocks may overlap, so that two reads find the same row.
        found = {row["id"]: row for row in (*self._rows, *rows)}
        newest_first = self.order == "desc"
        best = sorted(found.values(), key=lambda row: (row["ts"], row["id"]), reverse=newest_first)
        self._rows = best[: self.limit]
        if len(self._rows) == self.limit:
            self._narrow(self._rows[-1]["ts"])

    def _narrow(self, ts: datetime) -> None:
        """Leave out what comes behind a time."""
        if self.order == "desc":
            self.scope = replace(self.scope, start=max(self.scope.start, ts))
        else:
            self.scope = replace(self.scope, end=min(self.scope.end, ts + _MICROSECOND))

    def _begin_behind_the_cursor(self) -> None:
        if self.after is None:
            return
        ts, _ = self.after
        if self.order == "desc":
            self.scope = replace(self.scope, end=min(self.scope.end, ts + _MICROSECOND))
        else:
            self.scope = replace(self.scope, start=max(self.scope.start, ts))

    def _matters(self, block: Range) -> bool:
        return block.ts_max >= self.scope.start if self.order == "desc" else block.ts_min < self.scope.end

    def _indexed_services(self) -> list[str]:
        """Return the services that a row must be of, if only their errors are asked for and they are few."""
        allowed = restrictions(self.scope.filter)
        if allowed.services is None or allowed.services.prefixes or not allowed.severities <= _INDEXED_SEVERITIES:
            return []
        return sorted(allowed.services.exact) if len(allowed.services.exact) <= _MAX_INDEXED_SERVICES else []


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1_000, 3)
