"""What happened to alerts: parameters → one page of ``alert_events``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from logstreamd.query.cursor import decode_cursor, encode_cursor
from logstreamd.query.database import Database
from logstreamd.query.errors import BadParameterError
from logstreamd.query.parameters import Values, collect, read_choice, read_count, read_names
from logstreamd.query.scope import EARLIEST, LATEST
from logstreamd.query.times import parse_time
from logstreamd.storage.queries import load_queries

__all__ = ["EventPage", "EventReader", "EventSearch", "parse_events"]

_SQL = load_queries("alert_events.sql", package="logstreamd.query")
_STATES = ("inactive", "pending", "firing", "resolved")
_PARAMETERS = ("start", "end", "alert", "state", "fingerprint", "limit", "order", "cursor")
_ONCE = ("start", "end", "limit", "order", "cursor")
_LABEL = "label."
_ORDERS = {"desc": "newest first", "asc": ""}
_DEFAULT_LIMIT = 100
_MOST = 1_000  # with all their lines 16 MiB


@dataclass(frozen=True, slots=True)
class EventSearch:
    """A question for events.

    Attributes:
        start: inclusive.
        end: exclusive.
        alerts: names of rules; None: all.
        states: what the alert became; None: anything.
        fingerprints: of which alerts; None: of all.
        labels: that the alert has.
        newest_first: the order.
        after: continue behind this event, given by time and id.
    """

    start: datetime
    end: datetime
    alerts: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    fingerprints: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    limit: int = _DEFAULT_LIMIT
    newest_first: bool = True
    after: tuple[datetime, int] | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of an answer, and where to continue (None: this was the last page)."""

    events: list[dict[str, Any]]
    next_cursor: str | None
    took_ms: float


def parse_events(given: Iterable[tuple[str, str]], *, now: datetime) -> EventSearch:
    """Read the parameters.

    Args:
        given: names and values, as the query string has them.
        now: the present.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
    """
    values = collect(given, _PARAMETERS, once=_ONCE, prefixes=(_LABEL,))
    start = parse_time(values["start"][0], "start", now) if "start" in values else EARLIEST
    end = parse_time(values["end"][0], "end", now) if "end" in values else LATEST
    if start >= end:
        raise BadParameterError("start", f"must be before end (got {start.isoformat()} and {end.isoformat()})")
    return EventSearch(
        start,
        end,
        alerts=read_names(values, "alert"),
        states=_read_states(values),
        fingerprints=read_names(values, "fingerprint"),
        labels={name.removeprefix(_LABEL): values[name][-1] for name in values if name.startswith(_LABEL)},
        limit=read_count(values, "limit", default=_DEFAULT_LIMIT, at_most=_MOST),
        newest_first=read_choice(values, "order", _ORDERS) == "desc",
        after=decode_cursor(values["cursor"][0]) if "cursor" in values else None,
    )


def _read_states(values: Values) -> tuple[str, ...] | None:
    states = read_names(values, "state")
    for state in states or ():
        if state not in _STATES:
            raise BadParameterError("state", f"must be one of {', '.join(_STATES)} (got {state!r})")
    return states


class EventReader:
    """Reads events.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, search: EventSearch) -> EventPage:
        """Return one page.

        Raises:
            QueryTimeoutError, TooManyQueriesError, UnavailableError: there is no answer.
        """
        started = time.perf_counter()
        statement = _SQL["newest" if search.newest_first else "oldest"]
        after_at, after_id = search.after or (None, None)
        with self._database.question():
            async with self._database.reading() as connection:
                rows = await connection.fetch(
                    statement,
                    search.start,
                    search.end,
                    search.alerts,
                    search.states,
                    search.fingerprints,
                    json.dumps(search.labels),
                    after_at,
                    after_id,
                    search.limit + 1,
                )
        page = rows[: search.limit]
        cursor = encode_cursor(page[-1]["at"], page[-1]["id"]) if len(rows) > len(page) else None
        return EventPage([_event(row) for row in page], cursor, round((time.perf_counter() - started) * 1_000, 1))


def _event(row: asyncpg.Record) -> dict[str, Any]:
    raw = {name: msgspec.Raw(row[name].encode()) for name in ("labels", "annotations", "samples")}
    return {**row, **raw}
