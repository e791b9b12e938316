"""Which rows, how many, in which order: a search, and the rows it finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import asyncpg
import msgspec

from logstreamd.query.cursor import decode_cursor, encode_cursor
from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.errors import TooManyQueriesError
from logstreamd.query.explain import describe_plan
from logstreamd.query.parameters import collect, read_choice, read_count
from logstreamd.query.plan import Order, count_skipped
from logstreamd.query.scope import SCOPE_ONCE, SCOPE_PARAMETERS, SCOPE_PREFIXES, Scope, read_scope
from logstreamd.query.walk import Step, Walk
from logstreamd.record import LEVELS
from logstreamd.storage.migrate import Connection

__all__ = ["LOG_FIELDS", "LogReader", "Page", "Search", "as_log", "parse_search"]

_COLUMNS_AFTER_LEVEL = (
    "severity", "facility", "host", "service", "proc_id", "msg_id", "trace_id", "message", "attrs", "input", "peer"
)  # fmt: skip
LOG_FIELDS = ("id", "ts", "received_at", "level", *_COLUMNS_AFTER_LEVEL)
"""The names in a log, in their order."""

_ONCE = ("limit", "order", "cursor")
_ORDERS = {"desc": "newest first", "asc": ""}
_DEFAULT_LIMIT = 100
_STREAMED_AT_ONCE = 1_000  # rows in memory; 64 MiB if each is as large as may be
_STREAMS_PART = 4  # of the questions that may run at once, one in so many may be a stream
_RETRY_SECONDS = 0.05
_MOST_RETRIES = 200  # 10 s until a stream gives up that finds no place for its next rows


@dataclass(frozen=True, slots=True)
class Search:
    """A question for log rows.

    Attributes:
        after: continue behind this row, given by time and id.
    """

    scope: Scope
    limit: int = _DEFAULT_LIMIT
    order: Order = "desc"
    after: tuple[datetime, int] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of an answer.

    Attributes:
        logs: each as the API shows it, ``attrs`` as raw JSON.
        next_cursor: where to continue; None when this was the last page.
        took_ms: time in the database and around it.
        plan: what was done, if that was asked.
    """

    logs: list[dict[str, Any]]
    next_cursor: str | None
    took_ms: float
    plan: dict[str, Any] | None = None


def parse_search(
    given: Iterable[tuple[str, str]], *, now: datetime, max_rows: int, others: Sequence[str] = ()
) -> Search:
    """Read the parameters of a search.

    Args:
        given: names and values, as the query string has them; a list may be repeated or separated by commas.
        now: the present.
        max_rows: the most rows one answer may have.
        others: names that may be given (once) as well and are somebody else's.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
        FilterError: ``q`` is no filter.
    """
    known, once = (*SCOPE_PARAMETERS, *_ONCE, *others), (*SCOPE_ONCE, *_ONCE, *others)
    values = collect(given, known, once=once, prefixes=SCOPE_PREFIXES)
    return Search(
        scope=read_scope(values, now=now),
        limit=read_count(values, "limit", default=_DEFAULT_LIMIT, at_most=max_rows),
        order=cast(Order, read_choice(values, "order", _ORDERS)),
        after=decode_cursor(values["cursor"][0]) if "cursor" in values else None,
    )


class LogReader:
    """Reads log rows.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._streams = 0

    async def search(self, search: Search, *, explain: bool = False) -> Page:
        """Find rows.

        Args:
            search: which.
            explain: say what was done for it.

        Raises:
            TooManyQueriesError: too many run already.
            QueryTimeoutError: the time for a question is over.
            UnavailableError: PostgreSQL can't be reached.
        """
        started = time.perf_counter()
        with self._database.question():
            rows, plan = await self._find(search, explain)
        page, more = rows[: search.limit], len(rows) > search.limit
        return Page(
            logs=[as_log(row) for row in page],
            next_cursor=encode_cursor(page[-1]["ts"], page[-1]["id"]) if more else None,
            took_ms=round((time.perf_counter() - started) * 1_000, 3),
            plan=plan,
        )

    async def stream(self, search: Search) -> AsyncGenerator[dict[str, Any], None]:
        """Yield rows one after the other: few of them are in memory, and no connection is held while they are used.

        Rows are asked for in portions, each a question of its own. One that is stored meanwhile comes if its turn is
        still to come.

        Raises:
            TooManyQueriesError: too many streams or questions run already.
            QueryTimeoutError, UnavailableError: as :meth:`search`; some rows may have come.
        """
        if self._streams >= max(1, self._database.max_concurrent // _STREAMS_PART):
            raise TooManyQueriesError(f"{self._streams} streams run already")
        self._streams += 1
        try:
            left, retries = search.limit, 0
            while left:
                page = await self._try_again(replace(search, limit=min(left, _STREAMED_AT_ONCE)), retries)
                for log in page.logs:
                    yield log
                if page.next_cursor is None:
                    break
                left -= len(page.logs)
                search, retries = replace(search, after=decode_cursor(page.next_cursor)), _MOST_RETRIES
        finally:
            self._streams -= 1

    async def _try_again(self, search: Search, retries: int) -> Page:
        """Search, and wait for a place if there is none."""
        for _ in range(retries):
            try:
                return await self.search(search)
            except TooManyQueriesError:
                await asyncio.sleep(_RETRY_SECONDS)
        return await self.search(search)

    async def _find(self, search: Search, explain: bool) -> tuple[list[asyncpg.Record], dict[str, Any] | None]:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._database.reading())

            async def help_out() -> Connection | None:
                return await stack.enter_async_context(self._database.helping(connection))

            steps: list[Step] = []
            # One row more than wanted: it tells whether there is a next page.
            walk = Walk(
                connection,
                help_out,
                search.scope,
                search.order,
                search.after,
                search.limit + 1,
                Deadline(self._database.timeout_seconds),
                steps,
            )
            rows = await walk.run()
            if not explain:
                return rows, None
            return rows, describe_plan(search.scope, steps, await count_skipped(connection, walk.asked))


def as_log(row: asyncpg.Record) -> dict[str, Any]:
    """Return a row as the API shows it.

    Args:
        row: the columns as ``logs.sql`` selects them.
    """
    log = {column: row[column] for column in ("id", "ts", "received_at")}
    log["level"] = LEVELS[row["severity"]]
    log |= {column: row[column] for column in _COLUMNS_AFTER_LEVEL}
    log["attrs"] = msgspec.Raw(row["attrs"] or "{}")
    return log
