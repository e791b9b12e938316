"""What the database needs beside batches: schema and partitions, counts folded, blocks merged, old rows gone.

One task, one session of its own, every job on its own interval. A job does a bounded piece of work; one that has more
to do gets its next turn soon, after the others had theirs. A job that fails because the database is in trouble waits
for its next turn; the probe among them notices an outage while no message arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
import structlog

from logstreamd.config.retention import RetentionConfig
from logstreamd.metrics import Metrics
from logstreamd.record import Severity
from logstreamd.storage.blocks import BlockMerger
from logstreamd.storage.counts import fold_counts
from logstreamd.storage.migrate import migrate
from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.storage.queries import load_queries
from logstreamd.storage.retention import Retention
from logstreamd.storage.retention_plan import RetentionPolicy, RetentionRule
from logstreamd.storage.session import DATABASE_TROUBLE, Session, retry

__all__ = ["DatabaseKeeper", "retention_policy"]

_log = structlog.get_logger(__name__)
_SQL = load_queries("maintenance.sql")

_TICK_SECONDS = 1.0
_PROBE_SECONDS = 2.0
_FOLD_SECONDS = 5.0  # at full load, 200 batches of 250 counts wait by then: a tenth of a second for who asks log_counts
_SUMMARIZE_SECONDS = 10.0
_MERGE_SECONDS = 15.0
_PARTITIONS_SECONDS = 600.0
_RETENTION_SECONDS = 3_600.0
_PRUNE_SECONDS = 3_600.0
# A batch that is still in the spool can come again; its mark is younger than the batch. The margin is for clocks that
# disagree, and for a deletion in the spool that a power cut undid.
_PRUNE_MARGIN_SECONDS = 86_400.0
# How long a request with an Idempotency-Key may be repeated: longer than any client retries.
_KEEP_REQUESTS = timedelta(days=7)


Work: TypeAlias = Callable[[asyncpg.Connection], Awaitable[bool | None]]
"""A piece of work; returns whether there is more to do at once."""


@dataclass(slots=True)
class _Job:
    work: Work
    interval_seconds: float
    due_at: float = 0.0


def retention_policy(config: RetentionConfig) -> RetentionPolicy:
    """Return what may be kept, as the storage understands it."""
    rules = []
    for rule in config.rules:
        severities = tuple(Severity[level.upper()].value for level in rule.level) or tuple(map(int, Severity))
        rules.append(RetentionRule(rule.days, severities, rule.service or None))
    return RetentionPolicy(config.days, config.max_bytes, tuple(rules))


class DatabaseKeeper:
    """Keeps the database fit to be written to.

    Args:
        session: its own.
        partitions: shared with nobody else; the writer asks here.
        spool_id: asked for when marks are pruned: whose are ours.
        oldest_spooled_seconds: age of the oldest batch in the spool, 0 when it is empty.
        retention: what may be kept.
        metrics: counted per piece of work.
    """

    def __init__(
        self,
        session: Session,
        partitions: Partitions,
        *,
        spool_id: Callable[[], UUID],
        oldest_spooled_seconds: Callable[[], float],
        retention: RetentionPolicy,
        metrics: Metrics,
    ) -> None:
        self._session = session
        self._partitions = partitions
        self._spool_id = spool_id
        self._oldest_spooled_seconds = oldest_spooled_seconds
        self._retention = Retention(retention, partitions)
        self._merger = BlockMerger()
        self._metrics = metrics
        self.migrated = asyncio.Event()
        """Set once the schema is there."""
        self._retiring = _Job(self._apply_retention, _RETENTION_SECONDS)
        self._jobs = [
            _Job(self._probe, _PROBE_SECONDS),
            _Job(self._make_partitions, _PARTITIONS_SECONDS),
            _Job(self._fold, _FOLD_SECONDS),
            _Job(self._summarize, _SUMMARIZE_SECONDS),
            _Job(self._merge, _MERGE_SECONDS),
            self._retiring,
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

    def keep(self, policy: RetentionPolicy) -> None:
        """Keep by another policy from now on; what it lets go of goes soon."""
        if policy != self._retention.policy:
            self._retention.replace(policy)
            self._retiring.due_at = 0.0

    async def run(self) -> None:
        """Bring the schema up to date, however long it takes until that is possible, then do the jobs for ever."""
        await retry(lambda: self._session.run(self._migrate))
        while True:
            now = time.monotonic()
            for job in self._jobs:
                if job.due_at <= now:
                    job.due_at = now + await self._attempt(job)
            await asyncio.sleep(_TICK_SECONDS)

    async def _attempt(self, job: _Job) -> float:
        """Do a piece of a job; return in how many seconds the next one is due."""
        try:
            more = await self._session.run(job.work)
        except DATABASE_TROUBLE:  # counted and logged where it is noticed, in the session's health
            return _PROBE_SECONDS
        return _TICK_SECONDS if more else job.interval_seconds

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

    async def _fold(self, connection: asyncpg.Connection) -> bool:
        folded = await fold_counts(connection)
        self._metrics.folded_counts.inc(folded.counts)
        return folded.more

    async def _merge(self, connection: asyncpg.Connection) -> bool:
        merged = await self._merger.merge(connection)
        self._metrics.merged_blocks.inc(merged.parts)
        return merged.more

    async def _apply_retention(self, connection: asyncpg.Connection) -> bool:
        for gone in await self._retention.round(connection, datetime.now(UTC)):
            self._metrics.retired_rows.inc(gone.rows)
            self._metrics.retired_bytes.inc(gone.byte_count)
            _log.info("retention", day=gone.day.isoformat(), rows=gone.rows, bytes=gone.byte_count, why=gone.why)
        return self._retention.more

    async def _summarize(self, connection: asyncpg.Connection) -> None:
        today = datetime.now(UTC).date()  # and yesterday, whose last pages came just before midnight, or late
        await self._partitions.summarize(connection, [today, today - timedelta(days=1)])

    async def _prune_marks(self, connection: asyncpg.Connection) -> None:
        age = timedelta(seconds=self._oldest_spooled_seconds() + _PRUNE_MARGIN_SECONDS)
        await connection.execute(_SQL["prune_marks"], self._spool_id(), datetime.now(UTC) - age)
        await connection.execute(_SQL["prune_requests"], datetime.now(UTC) - _KEEP_REQUESTS)

    async def close(self) -> None:
        """Close the session; :meth:`run` has ended."""
        await self._session.close()
