"""The journal in PostgreSQL, on a connection of its own that holds the lead.

Everything goes over the one connection, so that what is recorded can be committed only while the lead is held: a
daemon that was cut off, hung for longer than the lease, or whose connection the server ended, finds that out here
before it tells anybody. After any trouble the connection is closed and made anew, and the lead has to be won again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from logstreamd.alerts.journal import Beat, JournalError, Kept, LeadLostError, Living
from logstreamd.alerts.records import read_living
from logstreamd.alerts.silence import Matcher, Silence
from logstreamd.alerts.silence_request import SilenceRequest, TooManySilencesError
from logstreamd.storage import alerting

__all__ = ["LEASE_SECONDS", "MOST_SILENCES", "StoredJournal"]

_log = structlog.get_logger(__name__)

LEASE_SECONDS = 10.0
"""Ten signs of life; a daemon that gives none for so long hangs, or cannot be heard."""
MOST_SILENCES = 200
"""More than a person oversees; each alert that fires is compared with all of them."""

_ANSWER_SECONDS = 5.0  # half of the lease: who is not answered in time knows before somebody else leads
_MOST_EVENTS = 1_000_000  # some 2 GB with their lines
_PRUNED_AT_ONCE = 5_000  # a fraction of a second
_SILENCES_KEPT = timedelta(days=5)  # as Alertmanager does, so that one that has ended can be looked at

_TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class StoredJournal:
    """Keeps the journal, and silences beside it.

    Args:
        connect: opens a connection.
        events_kept: for how long events are kept.
        lease_seconds: how long the lead outlives the last sign of life.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        *,
        events_kept: timedelta,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._connect = connect
        self._events_kept = events_kept
        self._lease_seconds = lease_seconds
        self._turn = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._earlier_pid: int | None = None
        self._leads = False
        self._terms = 0
        self._puzzling: set[UUID] = set()

    @property
    def term(self) -> int:
        """Which time of having the lead this is, 0 without it."""
        return self._terms if self._leads else 0

    async def beat(self, now: datetime) -> Beat:
        """Keep the lead, or try to get it; return the silences that have not ended."""
        async with self._exchange() as connection:
            if not self._leads and await alerting.try_lead(connection):
                self._leads = True
                self._terms += 1
            rows = await alerting.load_silences(connection, now)
        return Beat(self.term, tuple(self._understood(rows)))

    def _understood(self, rows: Sequence[alerting.SilenceRow]) -> Iterator[Silence]:
        """Yield the silences that can be understood; others may write to the table, too."""
        for row in rows:
            try:
                matchers = tuple(Matcher(**one) for one in row.matchers)
            except (TypeError, ValueError) as problem:
                if row.id not in self._puzzling:
                    _log.warning("a silence can't be understood", silence=str(row.id), problem=str(problem))
                    self._puzzling.add(row.id)
            else:
                yield Silence(str(row.id), matchers, row.starts_at, row.ends_at)

    async def load(self) -> list[Kept]:
        """Return where every rule stands."""
        async with self._exchange() as connection:
            rows = await alerting.load_states(connection)
            samples = await alerting.load_samples(connection)
        return [
            Kept(
                row.rule,
                row.state,
                _living(row, samples),
                row.notify,
                row.interval_seconds,
                row.handed_over,
                row.age_seconds,
            )
            for row in rows
        ]

    async def record(
        self,
        term: int,
        *,
        states: Sequence[Mapping[str, Any]] = (),
        events: Sequence[Mapping[str, Any]] = (),
        gone: Sequence[str] = (),
    ) -> None:
        """Write events and the states they led to, all or nothing."""
        async with self._exchange(term) as connection:
            await alerting.record(connection, states=states, events=events, gone=gone)

    async def prune(self, now: datetime) -> None:
        """Delete old events and silences, a part of them at a time."""
        async with self._exchange() as connection:
            await alerting.prune_alerting(
                connection,
                events_before=now - self._events_kept,
                most_events=_MOST_EVENTS,
                silences_before=now - _SILENCES_KEPT,
                at_once=_PRUNED_AT_ONCE,
            )

    async def put_silence(self, wanted: SilenceRequest, now: datetime) -> UUID | None:
        """Make a silence, or replace one; return its id, None when the one to replace is not there.

        Raises:
            TooManySilencesError: there are :data:`MOST_SILENCES`.
            JournalError: the database can't be reached.
        """
        matchers = [_plain_matcher(matcher) for matcher in wanted.matchers]
        async with self._exchange() as connection:
            try:
                return await alerting.put_silence(
                    connection,
                    wanted.id,
                    matchers=matchers,
                    author=wanted.author,
                    comment=wanted.comment,
                    starts_at=wanted.starts_at,
                    ends_at=wanted.ends_at,
                    now=now,
                    at_most=MOST_SILENCES,
                )
            except alerting.TooManyError as problem:
                raise TooManySilencesError(str(problem)) from problem

    async def end_silence(self, silence_id: UUID, now: datetime) -> bool:
        """End a silence; False when it is not there.

        Raises:
            JournalError: the database can't be reached.
        """
        async with self._exchange() as connection:
            return await alerting.end_silence(connection, silence_id, now)

    async def close(self) -> None:
        """Close the connection; the server passes the lead on."""
        async with self._turn:
            connection, self._connection, self._leads = self._connection, None, False
            if connection is not None:
                try:
                    await connection.close(timeout=_ANSWER_SECONDS)
                except _TROUBLE:  # whoever is gone has nothing to be told
                    connection.terminate()

    @asynccontextmanager
    async def _exchange(self, term: int | None = None) -> AsyncIterator[asyncpg.Connection]:
        """Run a block on the connection, one at a time in the order of asking; trouble closes it."""
        async with self._turn:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    connection = await self._opened()
                    if term is not None and term != self.term:
                        raise LeadLostError("another daemon may evaluate the rules by now")
                    yield connection
            except _TROUBLE as problem:
                self._drop()
                raise JournalError(f"{type(problem).__name__}: {problem}") from problem
            except asyncio.CancelledError:
                self._drop()  # nobody knows what it is in the middle of
                raise

    async def _opened(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._leads = False
            self._connection = connection = await self._connect()
            await alerting.take_lease(connection, self._lease_seconds)
            if self._earlier_pid is not None:
                ended = await alerting.end_backend(connection, self._earlier_pid)
                _log.info("the alerts' connection to the database is back", earlier_one_ended=ended)
                self._earlier_pid = None
        return self._connection

    def _drop(self) -> None:
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            self._earlier_pid = connection.get_server_pid()
            connection.terminate()


def _living(
    row: alerting.StateRow, samples: Mapping[tuple[str, datetime], Sequence[Mapping[str, Any]]]
) -> tuple[Living, ...]:
    """Return the alerts that were kept beside a rule's state; none when another version wrote them in another way."""
    try:
        return tuple(read_living(one, samples) for one in row.alerts)
    except (KeyError, TypeError, ValueError) as problem:
        _log.error("alerts that were kept can't be read", rule=row.rule, problem=repr(problem))
        return ()


def _plain_matcher(matcher: Matcher) -> dict[str, Any]:
    return {
        "name": matcher.name,
        "value": matcher.value,
        "is_regex": matcher.is_regex,
        "is_equal": matcher.is_equal,
    }
