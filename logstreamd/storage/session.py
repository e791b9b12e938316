"""One connection to PostgreSQL that comes back: the adapter around driver, circuit breaker and health.

A session connects when it is first needed. After any trouble it closes the connection instead of guessing what state
it is in, and connects anew at the next attempt. The breaker is shared by the sessions of a writer: after
``_FAILURES_TO_OPEN`` failures in a row it answers for the database for ``_OPEN_SECONDS``, then lets attempts through
again, and the first one that succeeds closes it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import stamina
import structlog

from logstreamd.breaker import Breaker, BreakerOpenError
from logstreamd.metrics import Metrics
from logstreamd.storage.errors import SchemaError, classify
from logstreamd.storage.queries import load_queries

__all__ = ["DATABASE_TROUBLE", "Health", "Session", "retry"]

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_SQL = load_queries("store.sql")

DATABASE_TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    BreakerOpenError,
    SchemaError,  # tables of a newer version: somebody upgrades that version's daemons, or restores a backup
)
"""What an attempt may fail with and be repeated."""

_RETRY_INITIAL_SECONDS = 0.1
_RETRY_MAX_SECONDS = 5.0
_RETRY_JITTER_SECONDS = 0.5
_FAILURES_TO_OPEN = 5
_OPEN_SECONDS = 2.0
_LOG_EVERY_SECONDS = 10.0


async def retry(attempt: Callable[[], Awaitable[_T]]) -> _T:
    """Repeat an exchange with the database until it is done, with growing, jittered pauses and no end.

    Args:
        attempt: fails with one of :data:`DATABASE_TROUBLE` when it should be repeated; anything else is raised.
    """
    async for trial in stamina.retry_context(
        on=DATABASE_TROUBLE,
        attempts=None,
        timeout=None,
        wait_initial=_RETRY_INITIAL_SECONDS,
        wait_max=_RETRY_MAX_SECONDS,
        wait_jitter=_RETRY_JITTER_SECONDS,
    ):
        with trial:
            return await attempt()
    raise AssertionError("unreachable: the attempts have no end")


class Health:
    """What is known about the database: shared by the sessions, shown by ``/ready`` and ``/status``.

    Args:
        metrics: ``database_up``, ``breaker_open`` and ``store_failures`` follow it.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._breaker = Breaker("postgresql", failures_to_open=_FAILURES_TO_OPEN, open_seconds=_OPEN_SECONDS)
        self._logged_at = -math.inf
        self._suppressed = 0
        self._problems: dict[object, str] = {None: "not connected yet"}

    @property
    def breaker_open(self) -> bool:
        """Whether the database is left alone for a moment."""
        return self._breaker.is_open

    @property
    def problem(self) -> str | None:
        """What keeps a session from doing its work, None when all do theirs."""
        return next(iter(self._problems.values()), None)

    async def attempt(self, operation: Callable[[], Awaitable[_T]], who: object = None) -> _T:
        """Run an exchange with the database under the breaker and take note of how it went.

        Args:
            operation: the exchange.
            who: whose it is. A problem lasts until the one who had it succeeds: a database that answers to
                ``SELECT 1`` may still refuse every row.
        """
        try:
            result = await self._breaker.run(operation)
        except BreakerOpenError:
            raise
        except DATABASE_TROUBLE as problem:
            self._failed(who, problem)
            raise
        finally:
            self._metrics.breaker_open.set(self._breaker.is_open)
        self._succeeded(who)
        return result

    def _failed(self, who: object, problem: BaseException) -> None:
        kind = classify(problem)
        self._problems.pop(None, None)  # more is known now than that there is no connection yet
        said = self._problems[who] = f"{type(problem).__name__}: {problem}"
        self._metrics.database_up.set(0)
        self._metrics.store_failures.labels(kind.value).inc()
        now = time.monotonic()
        if now - self._logged_at < _LOG_EVERY_SECONDS:
            self._suppressed += 1
            return
        _log.warning("database trouble, will retry", kind=kind.value, problem=said, not_logged=self._suppressed)
        self._logged_at, self._suppressed = now, 0

    def _succeeded(self, who: object) -> None:
        known = [self._problems.pop(one) for one in {None, who} if one in self._problems]
        if self._problems:  # of somebody else
            return
        if known:
            _log.info("database connected", after=known[-1])
            self._logged_at, self._suppressed = -math.inf, 0
        self._metrics.database_up.set(1)


class Session:
    """One connection, opened on demand.

    Args:
        connect: opens a connection.
        health: shared with the other sessions.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], health: Health) -> None:
        self._connect = connect
        self._health = health
        self._connection: asyncpg.Connection | None = None
        self._silent_pid: int | None = None

    async def run(self, operation: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        """Run an operation on the connection.

        Raises:
            Whatever the operation raises, and one of :data:`DATABASE_TROUBLE` when there is no connection to be had.
        """
        return await self._health.attempt(lambda: self._run(operation), self)

    async def _run(self, operation: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._open()
        connection, self._connection = self._connection, None
        try:
            result = await operation(connection)
            self._connection = connection
        except TimeoutError:
            self._silent_pid = connection.get_server_pid()
            raise
        finally:
            # Only a connection that did its work is used again. After trouble nobody knows what it is in the
            # middle of: half a COPY, an open transaction, a dead peer.
            if self._connection is None:
                connection.terminate()
        return result

    async def _open(self) -> asyncpg.Connection:
        """Connect, and end the server's side of a connection that had fallen silent.

        That backend may not know for a minute that its client is gone, and holds the marker of its batch until then.
        """
        connection = await self._connect()
        if self._silent_pid is not None:
            try:
                ended = await connection.fetchval(_SQL["end_silent_backend"], self._silent_pid)
            except BaseException:
                connection.terminate()
                raise
            _log.warning("a connection to the database fell silent", backend=self._silent_pid, ended=bool(ended))
            self._silent_pid = None
        return connection

    async def claim_batch_numbers(self, count: int) -> list[int]:
        """Return ``count`` batch numbers that nobody else gets."""

        async def claim(connection: asyncpg.Connection) -> list[int]:
            return [row["number"] for row in await connection.fetch(_SQL["claim_batch_numbers"], count)]

        return await self.run(claim)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close(timeout=5)
