"""The way to PostgreSQL for every question: read-only transactions, a statement timeout, a bound on how many run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from logstreamd.query.errors import QueryTimeoutError, TooManyQueriesError, UnavailableError
from logstreamd.storage.migrate import Connection
from logstreamd.storage.transaction import transaction

__all__ = ["Database"]

# The internal error is how the driver puts that a connection went away just when a command was to be sent on it.
_UNAVAILABLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

_SNAPSHOT = re.compile(r"[0-9A-Fa-f-]+")
# A statement that PostgreSQL can't make sense of is a bug, and asking again does not help.
_OUR_MISTAKES = (asyncpg.DataError, asyncpg.PostgresSyntaxError)


class Database:
    """Hands out connections that can only read.

    Args:
        pool: read-only connections with a statement timeout; what it has beyond one for each question helps long ones.
        max_concurrent: questions that may be asked at once; one more is refused.
        timeout_seconds: for all statements of a question together; None: each has the time of the pool's connections.
        pool_timeout_seconds: for a connection to be free, or to be made.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        max_concurrent: int,
        timeout_seconds: float | None = None,
        pool_timeout_seconds: float = 5.0,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.max_concurrent = max_concurrent
        self._pool = pool
        self._pool_timeout_seconds = pool_timeout_seconds
        self._spare = pool.get_max_size() - max_concurrent
        self._running = 0

    @property
    def running(self) -> int:
        """How many questions are being answered."""
        return self._running

    @contextmanager
    def question(self) -> Iterator[None]:
        """Count as one question for as long as the block lasts, however many connections it takes.

        Raises:
            TooManyQueriesError: too many run already.
        """
        if self._running >= self.max_concurrent:
            raise TooManyQueriesError(f"{self.max_concurrent} queries run already")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """Run a block in a read-only transaction on a connection of the pool.

        When the block is cancelled (the client went away) the connection is closed and the server ends its statement.

        Raises:
            QueryTimeoutError: the statement timeout struck.
            UnavailableError: PostgreSQL can't be reached, or no connection came free in time.
        """
        try:
            async with self._connection() as connection:
                try:
                    async with transaction(connection):
                        yield connection
                except (TimeoutError, asyncio.CancelledError, GeneratorExit):
                    # A server that fell silent answers no rollback either, and a client that went away needs none:
                    # the pool makes another connection, the server ends this one's query.
                    connection.terminate()
                    raise
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as problem:
            raise QueryTimeoutError(str(problem)) from problem
        except _OUR_MISTAKES:
            raise
        except _UNAVAILABLE as problem:
            raise UnavailableError(f"{type(problem).__name__}: {problem}") from problem

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        try:
            connection = await self._pool.acquire(timeout=self._pool_timeout_seconds)
        except TimeoutError as problem:
            raise UnavailableError(f"no connection within {self._pool_timeout_seconds:g} s") from problem
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def helping(self, connection: Connection) -> AsyncIterator[Connection | None]:
        """Give a question a second connection that sees the same state of the database, if there is one to spare.

        Args:
            connection: the first one, see :meth:`reading`.

        Raises:
            QueryTimeoutError: the statement timeout struck.
            UnavailableError: PostgreSQL can't be reached.
        """
        if self._spare <= 0:
            yield None
            return
        self._spare -= 1
        try:
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            async with self.reading() as helper:
                await helper.execute(f"SET TRANSACTION SNAPSHOT {_literal(snapshot)}")
                yield helper
        finally:
            self._spare += 1


def _literal(snapshot: str) -> str:
    """Quote the name of a snapshot, which can't be a parameter; it comes from the server."""
    if not _SNAPSHOT.fullmatch(snapshot):
        raise UnavailableError(f"not the name of a snapshot: {snapshot!r}")
    return f"'{snapshot}'"
