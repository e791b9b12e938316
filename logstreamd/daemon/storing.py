"""The storing half of a daemon: the writer that empties the spool, and the keeper of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from logstreamd.config import Config
from logstreamd.daemon.connecting import connection_settings
from logstreamd.daemon.reload import Change
from logstreamd.daemon.supervisor import Supervisor
from logstreamd.maintenance import DatabaseKeeper, retention_policy
from logstreamd.metrics import Metrics
from logstreamd.spool import Spool
from logstreamd.storage.connections import connect
from logstreamd.storage.partitions import Partitions
from logstreamd.storage.session import Health, Session
from logstreamd.wire.policy import Policy
from logstreamd.writer import StoreWatcher, Writer

__all__ = ["Storing"]


class Storing:
    """Stores.

    Args:
        config: the whole configuration.
        dsn: where the database is.
        spool: what is to be stored.
        health: told how the database is.
        metrics: counted by both parts.
        policy_of: how the messages of an input are read, by its name.
        watcher: told of every batch.

    Attributes:
        migrated: set once the database has its tables.
    """

    def __init__(
        self,
        config: Config,
        dsn: str,
        spool: Spool,
        health: Health,
        metrics: Metrics,
        *,
        policy_of: Callable[[str], Policy],
        watcher: StoreWatcher,
    ) -> None:
        self._drain_timeout_seconds = config.writer.drain_timeout_seconds
        database = config.database
        settings = connection_settings(database, dsn, statement_timeout_seconds=database.statement_timeout_seconds)

        def session(purpose: str) -> Session:
            return Session(lambda: connect(settings, purpose=purpose), health)

        self._keeper = DatabaseKeeper(
            session("keeper"),
            Partitions(),
            spool_id=lambda: spool.id,
            oldest_spooled_seconds=lambda: spool.stats().oldest_age_seconds,
            retention=retention_policy(config.retention),
            metrics=metrics,
        )
        self.migrated = self._keeper.migrated
        self._writer = Writer(
            spool,
            [session("writer") for _ in range(config.writer.connections)],
            ready=self.migrated.wait,
            prepare=self._keeper.prepare,
            policy_of=policy_of,
            metrics=metrics,
            watcher=watcher,
        )

    def start(self, supervisor: Supervisor) -> None:
        """Start in the background; the database may be away."""
        supervisor.start("database keeper", self._keeper.run())
        for number, work in enumerate(self._writer.workers(), 1):
            supervisor.start(f"writer {number}", work)

    async def prepare(self, change: Change) -> None:
        """Prepare another retention, and another time to drain."""

        async def commit() -> None:
            self._drain_timeout_seconds = change.new.config.writer.drain_timeout_seconds
            self._keeper.keep(retention_policy(change.new.config.retention))

        change.at_commit(commit)

    async def drain(self, hurry: asyncio.Event) -> None:
        """Store what is spooled until the deadline, or until somebody is in a hurry."""
        waits = [
            asyncio.create_task(self._writer.drained(), name="drain"),
            asyncio.create_task(hurry.wait(), name="hurry"),
        ]
        await asyncio.wait(waits, timeout=self._drain_timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def close(self) -> None:
        """Close the connections; the background tasks have ended."""
        await self._writer.close()
        await self._keeper.close()
