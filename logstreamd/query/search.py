"""A typed question → rows: bound parameters, a read-only transaction, a statement timeout, a bound on how many run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from logstreamd.query.cursor import encode_cursor
from logstreamd.query.errors import QueryTimeoutError, TooManyQueriesError, UnavailableError
from logstreamd.query.parameters import Search
from logstreamd.query.windows import window_starts
from logstreamd.record import LEVELS
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries
from logstreamd.storage.transaction import transaction

__all__ = ["LogReader", "Page"]

_SQL = load_queries("logs.sql", package="logstreamd.query")
_COLUMNS_AFTER_LEVEL = (
    "severity", "facility", "host", "service", "proc_id", "msg_id", "trace_id", "message", "attrs", "input", "peer"
)  # fmt: skip
# The internal error is how the driver puts that a connection went away just when a command was to be sent on it.
_UNAVAILABLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_LIKE_SPECIAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of an answer.

    Attributes:
        logs: each as the API shows it, ``attrs`` as raw JSON.
        next_cursor: where to continue; None when this was the last page.
        took_ms: time in the database and around it.
    """

    logs: list[dict[str, Any]]
    next_cursor: str | None
    took_ms: float


class LogReader:
    """Reads log rows.

    Args:
        pool: read-only connections.
        max_concurrent: queries that may run at once; one more is refused.
    """

    def __init__(self, pool: asyncpg.Pool, *, max_concurrent: int) -> None:
        self._pool = pool
        self._max_concurrent = max_concurrent
        self._running = 0

    async def search(self, search: Search) -> Page:
        """Find rows.

        Raises:
            TooManyQueriesError: too many run already.
            QueryTimeoutError: the statement timeout struck.
            UnavailableError: PostgreSQL can't be reached.
        """
        if self._running >= self._max_concurrent:
            raise TooManyQueriesError(f"{self._max_concurrent} queries run already")
        self._running += 1
        started = time.perf_counter()
        try:
            rows = await self._fetch(search)
        finally:
            self._running -= 1
        page, more = rows[: search.limit], len(rows) > search.limit
        return Page(
            logs=[_as_log(row) for row in page],
            next_cursor=encode_cursor(page[-1]["ts"], page[-1]["id"]) if more else None,
            took_ms=round((time.perf_counter() - started) * 1_000, 3),
        )

    async def _fetch(self, search: Search) -> list[asyncpg.Record]:
        try:
            async with self._pool.acquire() as connection:
                try:
                    async with transaction(connection):
                        return await _fetch_rows(connection, search)
                except (TimeoutError, asyncio.CancelledError):
                    # A server that fell silent answers no rollback either, and a client that went away needs none:
                    # the pool makes another connection, the server ends this one's query.
                    connection.terminate()
                    raise
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as problem:
            raise QueryTimeoutError(str(problem)) from problem
        except _UNAVAILABLE as problem:
            raise UnavailableError(f"{type(problem).__name__}: {problem}") from problem


async def _fetch_rows(connection: Connection, search: Search) -> list[asyncpg.Record]:
    if search.order == "asc":
        return await _fetch_from(connection, search, search.start)
    newest = search.after[0] if search.after else search.end
    rows: list[asyncpg.Record] = []
    for start in window_starts(search.start, newest, datetime.now(UTC)):
        rows = await _fetch_from(connection, search, start)
        if len(rows) > search.limit:
            break
    return rows


async def _fetch_from(connection: Connection, search: Search, start: datetime) -> list[asyncpg.Record]:
    """Ask for the rows from ``start`` on, and one more than wanted: it tells whether there is a next page."""
    after_ts, after_id = search.after or (None, None)
    return await connection.fetch(
        _SQL["newest" if search.order == "desc" else "oldest"],
        start,
        search.end,
        search.severities,
        search.services,
        search.hosts,
        search.trace_ids,
        search.words and [f"%{word.translate(_LIKE_SPECIAL)}%" for word in search.words],
        after_ts,
        after_id,
        search.limit + 1,
    )


def _as_log(row: asyncpg.Record) -> dict[str, Any]:
    log = {column: row[column] for column in ("id", "ts", "received_at")}
    log["level"] = LEVELS[row["severity"]]
    log |= {column: row[column] for column in _COLUMNS_AFTER_LEVEL}
    log["attrs"] = msgspec.Raw(row["attrs"] or "{}")
    return log
