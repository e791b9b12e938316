"""The day partitions of ``logs``: made before they are needed, taken off when they are too old.

A partition holds one UTC day and is called ``logs_YYYYMMDD``. Nothing here makes ingest wait for more than
``LOCK_TIMEOUT``: who can't have a lock by then gives up, and tries again later. A day whose partition can't
be made (a dump holds a lock for an hour) goes to ``logs_default``, and moves when it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from time import monotonic

import asyncpg

from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries
from logstreamd.storage.transaction import transaction

__all__ = ["DAYS_AHEAD", "Partitions", "attached_days", "days_between", "drop_detached", "partition_name"]

DAYS_AHEAD = 2
"""Days kept ready: time enough for somebody to notice that partitions can't be made."""
LOCK_TIMEOUT = "200ms"
"""While we wait for a lock, others wait behind us; this is what a sender may notice."""
MAKE_ATTEMPTS = 3
DETACH_ATTEMPTS = 10
"""It is never urgent, and a busy table is free again within seconds."""
RETRY_AFTER_SECONDS = 30.0
"""How long a day that can't have its partition is left alone, so that not every batch waits for it."""

_SQL = load_queries("partitions.sql")
_MICROSECONDS_A_DAY = 86_400_000_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def partition_name(day: date) -> str:
    """Return the name of the partition for a day."""
    return f"logs_{day:%Y%m%d}"


def days_between(first_us: int, last_us: int) -> list[date]:
    """Return the UTC days from one time to another, both included, in microseconds since the epoch."""
    first, last = first_us // _MICROSECONDS_A_DAY, last_us // _MICROSECONDS_A_DAY
    return [date.fromordinal(_EPOCH_ORDINAL + number) for number in range(first, last + 1)]


class Partitions:
    """Knows which days have a partition, and makes the missing ones.

    Args:
        clock: seconds that only grow, for when to try a busy day again.
        pause_seconds: between two attempts at a lock.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic, pause_seconds: float = 0.2) -> None:
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._known: set[date] = set()
        self._retry_at: dict[date, float] = {}

    def knows(self, days: Iterable[date]) -> bool:
        """Whether all of these days are known to have their partition; asks nobody."""
        return self._known.issuperset(days)

    async def ensure(self, connection: Connection, days: Iterable[date]) -> set[date]:
        """Make the partitions of these days where they are missing; costs nothing for days known to be there.

        Args:
            connection: one that is in no transaction.
            days: the days a batch needs.

        Returns:
            The days without a partition for now: their rows go to the default partition.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, OSError: the database is in trouble.
        """
        missing = set(days) - self._known
        due = {day for day in missing if self._retry_at.get(day, 0.0) <= self._clock()}
        if due:
            self._known |= await attached_days(connection)
        for day in sorted(due - self._known):
            if await self._make(connection, day):
                self._known.add(day)
                self._retry_at.pop(day, None)
            else:
                self._retry_at[day] = self._clock() + RETRY_AFTER_SECONDS
        return missing - self._known

    async def ensure_ahead(self, connection: Connection, now: datetime) -> set[date]:
        """Make today's partition and those of the next :data:`DAYS_AHEAD` days; for a timer.

        Returns:
            The days that could not be made, as :meth:`ensure` does.
        """
        today = now.astimezone(UTC).date()
        return await self.ensure(connection, [today + timedelta(days=n) for n in range(DAYS_AHEAD + 1)])

    async def detach(self, connection: Connection, day: date, clear: Callable[[], Awaitable[object]]) -> int | None:
        """Take a day off the table, in the caller's transaction; :func:`drop_detached` removes it afterwards.

        Args:
            connection: one that is in a transaction.
            day: a day that has a partition.
            clear: awaited when nobody can write rows of that day any more, and everybody waits.

        Returns:
            The bytes it had, or None when it was in use at every attempt.
        """
        for attempt in range(DETACH_ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause_seconds)
            try:
                async with transaction(connection):
                    await connection.execute(_SQL["take_turns"], LOCK_TIMEOUT)
                    size_bytes: int = await connection.fetchval(_fill(_SQL["size"], day))
                    await connection.execute(_fill(_SQL["detach"], day))
                    await clear()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                continue
            self._known.discard(day)
            return size_bytes
        return None

    async def summarize(self, connection: Connection, days: Iterable[date]) -> int:
        """Bring the BRIN indexes of these days up to date; for a timer, every few seconds under load.

        A partition that is being vacuumed is left alone: the vacuum does the same.

        Returns:
            The page ranges that were added.
        """
        ranges = 0
        for day in days:
            try:
                async with transaction(connection):
                    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                    ranges += await connection.fetchval(_SQL["summarize"], partition_name(day)) or 0
            except asyncpg.LockNotAvailableError:
                continue
        return ranges

    async def _make(self, connection: Connection, day: date) -> bool:
        for attempt in range(MAKE_ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._pause_seconds)
            try:
                return await _make_partition(connection, day)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                continue
        return False


async def attached_days(connection: Connection) -> set[date]:
    """Return the days that have a partition."""
    return {_day_of(row["name"]) for row in await connection.fetch(_SQL["attached"])}


async def drop_detached(connection: Connection) -> None:
    """Remove the days that were taken off, now or before a crash; nobody waits for it."""
    for row in await connection.fetch(_SQL["expired"]):
        await connection.execute(_fill(_SQL["drop"], _day_of(row["name"].removesuffix("_expired"))))


async def _make_partition(connection: Connection, day: date) -> bool:
    """Make one partition; False when there is a table of that name that somebody detached."""
    async with transaction(connection):
        await connection.execute(_SQL["take_turns"], LOCK_TIMEOUT)
        if await connection.fetchval(_SQL["exists"], partition_name(day)):
            return day in await attached_days(connection)
        await connection.execute(_fill(_SQL["make"], day))
    return True


def _fill(query: str, day: date) -> str:
    """Put the names of a day into a statement that takes no parameters."""
    return query.format(
        partition=partition_name(day), day=day, first=f"{day} 00:00Z", end=f"{day + timedelta(days=1)} 00:00Z"
    )


def _day_of(name: str) -> date:
    return datetime.strptime(name, "logs_%Y%m%d").date()
