"""What the database needs beside batches: the schema at the start, partitions ahead, old days dropped, marks pruned.

One task, one session of its own, every job on its own interval. A job that fails because the database is in trouble
waits for its next turn; the probe among them notices an outage while no message arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from logstreamd.storage.migrate import migrate
from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.storage.queries import load_queries
from logstreamd.storage.session import DATABASE_TROUBLE, Session, retry

__all__ = ["DatabaseKeeper"]

_log = structlog.get_logger(__name__)
_SQL = load_queries("maintenance.sql")

_TICK_SECONDS = 1.0
_PROBE_SECONDS = 2.0
_SUMMARIZE_SECONDS = 10.0
_PARTITIONS_SECONDS = 600.0
_RETENTION_SECONDS = 3_600.0
_PRUNE_SECONDS = 3_600.0
# A batch that is still in the spool can come again; its mark is younger than the batch. The margin is for clocks that
# disagree, and for a deletion in the spool that a power cut undid.
_PRUNE_MARGIN_SECONDS = 86_400.0
# How long a request with an Idempotency-Key may be repeated: longer than any client retries.
_KEEP_REQUESTS = timedelta(days=7)


@dataclass(slots=True)
class _Job:
    work: Callable[[asyncpg.Connection], Awaitable[object]]
    interval_seconds: float
    due_at: float = 0.0


class DatabaseKeeper:
    """Keeps the database fit to be written to.

    Args:
        session: its own.
        partitions: shared with nobody else; the writer asks here.
        spool_id: asked for when marks are pruned: whose are ours.
        oldest_spooled_seconds: age of the oldest batch in the spool, 0 when it is empty.
        retention_days: days kept besides today; None keeps everything.
    """

    def __init__(
        self,
        session: Session,
        partitions: Partitions,
        *,
        spool_id: Callable[[], UUID],
        oldest_spooled_seconds: Callable[[], float],
        retention_days: int | None,
    ) -> None:
        self._session = session
        self._partitions = partitions
        self._spool_id = spool_id
        self._oldest_spooled_seconds = oldest_spooled_seconds
        self._retention_days = retention_days
        self.migrated = asyncio.Event()
        """Set once the schema is there."""
        self._jobs = [
            _Job(self._probe, _PROBE_SECONDS),
            _Job(self._make_partitions, _PARTITIONS_SECONDS),
            _Job(self._drop_old_days, _RETENTION_SECONDS),
            _Job(self._summarize, _SUMMARIZE_SECONDS),
            # Not at once: the age of what an earlier run left is known when the spool has begun to read it.
            _Job(self._prune_marks, _PRUNE_SECONDS, due_at=time.monotonic() + _PRUNE_SECONDS),
        ]

    async def prepare(self, session: Session, first_us: int, last_us: int) -> None:
        """Make the database ready for rows from one time to another.

        Args:
            session: the one that will write the rows.
            first_us: earliest event time, microseconds since the epoch.
            last_us: latest event time.
        """
        days = days_between(first_us, last_us)
        if not self._partitions.knows(days):
            await session.run(lambda connection: self._partitions.ensure(connection, days))

    async def run(self) -> None:
        """Bring the schema up to date, then do the jobs for ever.

        Raises:
            SchemaError: the database is not one this version can work with.
        """
        await retry(lambda: self._session.run(self._migrate))
        while True:
            now = time.monotonic()
            for job in self._jobs:
                if job.due_at <= now:
                    # A job that failed is tried again soon: at the pace of the probe.
                    wait = job.interval_seconds if await self._attempt(job.work) else _PROBE_SECONDS
                    job.due_at = now + wait
            await asyncio.sleep(_TICK_SECONDS)

    async def _attempt(self, work: Callable[[asyncpg.Connection], Awaitable[object]]) -> bool:
        try:
            await self._session.run(work)
        except DATABASE_TROUBLE:  # counted and logged where it is noticed, in the session's health
            return False
        return True

    async def _migrate(self, connection: asyncpg.Connection) -> None:
        for migration in await migrate(connection):
            _log.info("schema migrated", version=migration.version, name=migration.name)
        await self._make_partitions(connection)
        self.migrated.set()

    async def _probe(self, connection: asyncpg.Connection) -> None:
        await connection.fetchval(_SQL["probe"])

    async def _make_partitions(self, connection: asyncpg.Connection) -> None:
        missing = await self._partitions.ensure_ahead(connection, datetime.now(UTC))
        if missing:
            _log.warning("partitions could not be made yet", days=[day.isoformat() for day in sorted(missing)])

    async def _drop_old_days(self, connection: asyncpg.Connection) -> None:
        if self._retention_days is None:
            return
        first_kept = datetime.now(UTC).date() - timedelta(days=self._retention_days)
        for dropped in await self._partitions.drop_before(connection, first_kept):
            _log.info("day dropped", day=dropped.day.isoformat(), bytes=dropped.size_bytes)

    async def _summarize(self, connection: asyncpg.Connection) -> None:
        await self._partitions.summarize(connection, [datetime.now(UTC).date()])

    async def _prune_marks(self, connection: asyncpg.Connection) -> None:
        age = timedelta(seconds=self._oldest_spooled_seconds() + _PRUNE_MARGIN_SECONDS)
        await connection.execute(_SQL["prune_marks"], self._spool_id(), datetime.now(UTC) - age)
        await connection.execute(_SQL["prune_requests"], datetime.now(UTC) - _KEEP_REQUESTS)

    async def close(self) -> None:
        """Close the session; :meth:`run` has ended."""
        await self._session.close()
