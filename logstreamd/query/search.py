"""Which rows, how many, in which order: a search, and the rows it finds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

import asyncpg
import msgspec

from logstreamd.query.cursor import decode_cursor, encode_cursor
from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.parameters import collect, read_choice, read_count
from logstreamd.query.scope import SCOPE_ONCE, SCOPE_PARAMETERS, SCOPE_PREFIXES, Scope, read_scope
from logstreamd.query.walk import Walk
from logstreamd.record import LEVELS
from logstreamd.storage.migrate import Connection

__all__ = ["LogReader", "Page", "Search", "parse_search"]

_COLUMNS_AFTER_LEVEL = (
    "severity", "facility", "host", "service", "proc_id", "msg_id", "trace_id", "message", "attrs", "input", "peer"
)  # fmt: skip
_PARAMETERS = (*SCOPE_PARAMETERS, "limit", "order", "cursor")
_ORDERS = {"desc": "newest first", "asc": ""}
_DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Search:
    """A question for log rows.

    Attributes:
        after: continue behind this row, given by time and id.
    """

    scope: Scope
    limit: int = _DEFAULT_LIMIT
    order: Literal["desc", "asc"] = "desc"
    after: tuple[datetime, int] | None = None


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


def parse_search(given: Iterable[tuple[str, str]], *, now: datetime, max_rows: int) -> Search:
    """Read the parameters of a search.

    Args:
        given: names and values, as the query string has them; a list may be repeated or separated by commas.
        now: the present.
        max_rows: the most rows one answer may have.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
        FilterError: ``q`` is no filter.
    """
    values = collect(given, _PARAMETERS, once=(*SCOPE_ONCE, "limit", "order", "cursor"), prefixes=SCOPE_PREFIXES)
    return Search(
        scope=read_scope(values, now=now),
        limit=read_count(values, "limit", default=_DEFAULT_LIMIT, at_most=max_rows),
        order=cast(Literal["desc", "asc"], read_choice(values, "order", _ORDERS)),
        after=decode_cursor(values["cursor"][0]) if "cursor" in values else None,
    )


class LogReader:
    """Reads log rows.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, search: Search) -> Page:
        """Find rows.

        Raises:
            TooManyQueriesError: too many run already.
            QueryTimeoutError: the statement timeout struck.
            UnavailableError: PostgreSQL can't be reached.
        """
        started = time.perf_counter()
        with self._database.question():
            rows = await self._walk(search)
        page, more = rows[: search.limit], len(rows) > search.limit
        return Page(
            logs=[_as_log(row) for row in page],
            next_cursor=encode_cursor(page[-1]["ts"], page[-1]["id"]) if more else None,
            took_ms=round((time.perf_counter() - started) * 1_000, 3),
        )

    async def _walk(self, search: Search) -> list[asyncpg.Record]:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._database.reading())

            async def help_out() -> Connection | None:
                return await stack.enter_async_context(self._database.helping(connection))

            deadline = Deadline(self._database.timeout_seconds)
            # One row more than wanted: it tells whether there is a next page.
            limit = search.limit + 1
            return await Walk(connection, help_out, search.scope, search.order, search.after, limit, deadline).run()


def _as_log(row: asyncpg.Record) -> dict[str, Any]:
    log = {column: row[column] for column in ("id", "ts", "received_at")}
    log["level"] = LEVELS[row["severity"]]
    log |= {column: row[column] for column in _COLUMNS_AFTER_LEVEL}
    log["attrs"] = msgspec.Raw(row["attrs"] or "{}")
    return log
