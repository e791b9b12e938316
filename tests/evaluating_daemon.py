"""The part of a daemon that evaluates rules, on a real PostgreSQL, by a clock that may be the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import asyncpg
from watching import Messenger

from logstreamd.alerts.clock import Clock
from logstreamd.alerts.evaluator import Evaluator, Witness
from logstreamd.alerts.hand_over import HandOver
from logstreamd.alerts.journal_stored import StoredJournal
from logstreamd.alerts.lead import Lead
from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.scheduler import Scheduler
from logstreamd.alerts.watched import Roster
from logstreamd.metrics import Metrics
from logstreamd.storage.connections import ConnectionSettings, connect

__all__ = ["EvaluatingDaemon", "end_leader", "until"]

_LOCKED_BY = """
    SELECT pid FROM pg_locks JOIN pg_database ON oid = database
    WHERE locktype = 'advisory' AND granted AND datname = current_database()
"""


class EvaluatingDaemon:
    """Runs from the moment it is made.

    Args:
        dsn: where its journal is.
        witness: whom it asks.
        groups: the rules.
        clock: the times it goes by.
        delay: how late lines may be.
        timeout_seconds: for a question.
    """

    def __init__(
        self,
        dsn: str,
        witness: Witness,
        *groups: RuleGroup,
        clock: Clock | None = None,
        delay: timedelta = timedelta(),
        timeout_seconds: float = 30.0,
    ) -> None:
        clock = clock or Clock()
        self.roster, self.messenger = Roster(groups), Messenger()
        settings = ConnectionSettings(dsn, statement_timeout_seconds=4)
        self.journal = StoredJournal(lambda: connect(settings, purpose="alerts"), events_kept=timedelta(days=90))
        hand_over = HandOver(self.messenger, lambda: self.lead.silences, clock.now, external_url="", delay=delay)
        self.lead = Lead(self.journal, lambda: self.roster.groups, hand_over, clock)
        self.metrics = Metrics(version="test", wire="python")
        evaluator = Evaluator(
            witness, self.journal, hand_over, self.metrics, clock, delay=delay, timeout_seconds=timeout_seconds
        )
        self.scheduler = Scheduler(
            self.roster, evaluator, self.lead, clock, ready=lambda: asyncio.sleep(0), most_at_once=4
        )
        self.task = asyncio.create_task(self.scheduler.run())

    def is_idle(self) -> bool:
        """Whether no rule is being evaluated."""
        return not any(one.busy for one in self.roster.rules)

    def told(self) -> list[tuple[str, Mapping[str, str], Any]]:
        """Return what its outbox would tell: status, labels and begin, each once."""
        said = {(alert.status, alert.fingerprint, alert.starts_at): alert for alert, _ in self.messenger.told}
        return [(alert.status, alert.labels, alert.starts_at) for alert in said.values()]

    async def stop(self) -> None:
        """End in order."""
        await self.scheduler.stop(1.0)
        await self.journal.close()
        await self.kill()

    async def kill(self) -> None:
        """End without a word."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def end_leader(connection: asyncpg.Connection) -> None:
    """Let the server end the connection of the one that leads, and wait until nobody does."""
    while pids := await connection.fetch(_LOCKED_BY):
        for row in pids:
            await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])


async def until(seen: Callable[[], Any]) -> None:
    """Look until there is something to see; pytest's timeout is the limit."""
    while not seen():
        await asyncio.sleep(0.005)
