"""The alerting part of the daemon: its pieces, built from the configuration, started and stopped in order.

====  ==========================  ===========================================
step  start                       stop, from the last step to the first
====  ==========================  ===========================================
1     pool of readers for rules   close it
2     outbox and notifiers        tell what waits, within a deadline
3     schedule of the rules       finish what runs, record where rules stand
====  ==========================  ===========================================
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from logstreamd.alerts.clock import Clock
from logstreamd.alerts.delivery import Delivery
from logstreamd.alerts.evaluator import Evaluator
from logstreamd.alerts.hand_over import HandOver
from logstreamd.alerts.journal_stored import LEASE_SECONDS, StoredJournal
from logstreamd.alerts.lead import Lead
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.outbox import Outbox
from logstreamd.alerts.outbox_file import OutboxError
from logstreamd.alerts.scheduler import Scheduler
from logstreamd.alerts.silence import is_silenced
from logstreamd.alerts.views import Views
from logstreamd.alerts.watched import Roster
from logstreamd.api.alerts import AlertsResource
from logstreamd.api.application import Resource
from logstreamd.api.silences import SilencesResource
from logstreamd.daemon.connecting import connection_settings
from logstreamd.daemon.material import Material, page_url
from logstreamd.daemon.reload import Change
from logstreamd.daemon.supervisor import Supervisor
from logstreamd.metrics import Metrics
from logstreamd.query.alert_events import EventReader
from logstreamd.query.database import Database
from logstreamd.query.silences import SilenceReader
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool

__all__ = ["Alerting"]

_log = structlog.get_logger(__name__)

_FINISH_SECONDS = 3.0  # for evaluations: what is cut off is found again by the next start
_DELIVER_SECONDS = 5.0  # for notifiers: what waits longer is told by the next start
_HEAR_SECONDS = 5.0  # for the database to say what is silenced; what an earlier run left is told without it, too
_STATEMENT_SECONDS = 4.0  # the journal gives up after five


class Alerting:
    """Rules, notifiers, history and silences of one daemon.

    Args:
        material: the configuration, rules and notifiers.
        dsn: where the database is.
        metrics: shared with the daemon.
    """

    def __init__(self, material: Material, dsn: str, metrics: Metrics) -> None:
        config, external_url = material.config, page_url(material.config)
        self._config = config.alerts
        self._database = config.database
        self._read_seconds = config.http.read_timeout_seconds
        self._dsn = dsn
        self._metrics = metrics
        self._clock = Clock()
        self._roster = Roster(material.rules)
        outbox = Outbox(_outbox_file(config.state_dir))
        self._channels = material.channels
        self._delivers = False
        self._delivery = Delivery(self._channels, outbox, metrics, is_silenced=self._is_silenced)
        # Whoever hangs in the middle of a transaction must not lead for longer than one who hangs between two.
        settings = replace(self._settings(_STATEMENT_SECONDS), idle_in_transaction_timeout_seconds=LEASE_SECONDS)
        self._journal = StoredJournal(
            lambda: connect(settings, purpose="alerts"), events_kept=timedelta(days=self._config.history_days)
        )
        self._delay = timedelta(seconds=self._config.evaluation_delay)
        self._hand_over = HandOver(
            self._delivery, lambda: self._lead.silences, self._clock.now, external_url=external_url, delay=self._delay
        )
        self._lead = Lead(self._journal, lambda: self._roster.groups, self._hand_over, self._clock)
        self._scheduler: Scheduler | None = None
        self._supervisor: Supervisor | None = None
        metrics.watch_rules(
            rules=lambda: len(self._roster.rules),
            unhealthy=lambda: len(self._roster.unhealthy()),
            alerts={"pending": lambda: self._roster.count("pending"), "firing": lambda: self._roster.count("firing")},
            leads=lambda: bool(self._lead.term),
        )

    def _settings(self, statement_timeout_seconds: float) -> ConnectionSettings:
        return connection_settings(self._database, self._dsn, statement_timeout_seconds=statement_timeout_seconds)

    async def start(
        self, stack: AsyncExitStack, supervisor: Supervisor, *, ready: Callable[[], Awaitable[object]]
    ) -> None:
        """Start.

        Args:
            stack: gets what stops it.
            supervisor: watches the background tasks.
            ready: returns when the database has its tables.

        Raises:
            OutboxError: the outbox can't be used.
        """
        config, self._supervisor = self._config, supervisor
        pool = await create_reader_pool(
            self._settings(config.query_timeout_seconds), max_size=config.max_concurrent_queries, purpose="rules"
        )
        stack.push_async_callback(pool.close)
        stack.push_async_callback(self._journal.close)
        stack.push_async_callback(self._stop_delivery)
        if self._channels:
            await self._start_delivery(supervisor)
        database = Database(
            pool,
            max_concurrent=config.max_concurrent_queries,
            timeout_seconds=config.query_timeout_seconds,
            pool_timeout_seconds=self._database.pool_timeout_seconds,
        )
        self._scheduler = self._build_scheduler(StoredMeasurer(database), ready)
        stack.push_async_callback(self._scheduler.stop, _FINISH_SECONDS)
        supervisor.start("alert rules", self._scheduler.run())
        if self._roster.rules:
            _log.info("alert rules", rules=len(self._roster.rules), notifiers=list(self._delivery.receivers))

    async def _start_delivery(self, supervisor: Supervisor) -> None:
        """Begin to tell notifiers; a daemon that has none has no outbox.

        Raises:
            OutboxError: the outbox can't be used.
        """
        await self._delivery.start()
        self._delivers = True
        supervisor.start("alert notifiers", self._delivery.run(self._heard))

    async def _stop_delivery(self) -> None:
        if self._delivers:
            await self._delivery.stop(_DELIVER_SECONDS)

    def _is_silenced(self, labels: Mapping[str, str]) -> bool:
        return is_silenced(self._lead.silences, labels, self._clock.now())

    async def _heard(self) -> None:
        """Wait until it is known what is silenced, and whether this daemon leads."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEAR_SECONDS):
                await self._lead.heard.wait()

    def _build_scheduler(self, measurer: StoredMeasurer, ready: Callable[[], Awaitable[object]]) -> Scheduler:
        evaluator = Evaluator(
            measurer,
            self._journal,
            self._hand_over,
            self._metrics,
            self._clock,
            delay=self._delay,
            # The database watches the time, too; this is for one that has fallen silent.
            timeout_seconds=self._config.query_timeout_seconds + 1.0,
        )
        return Scheduler(
            self._roster,
            evaluator,
            self._lead,
            self._clock,
            ready=ready,
            most_at_once=self._config.max_concurrent_queries,
        )

    def resources(self, database: Database) -> list[Resource]:
        """Return what can be asked for over HTTP; ``database`` answers people's questions."""
        views = Views(self._roster, lambda: self._lead.silences, self._clock.now)
        return [
            AlertsResource(views, EventReader(database)),
            SilencesResource(self._journal, SilenceReader(database), self._look, read_seconds=self._read_seconds),
        ]

    async def _look(self) -> None:
        if self._scheduler is not None:
            await self._scheduler.look()

    def status(self) -> dict[str, Any]:
        """Return how rules and notifiers are doing."""
        rules = self._scheduler.status() if self._scheduler is not None else {}
        return {**rules, "notifiers": self._delivery.status()}

    async def prepare(self, change: Change) -> None:
        """Prepare other notifiers, and other rules; those whose alerts stay the same go on where they stand."""
        await self._prepare_notifiers(change)
        rules = change.new.rules

        async def commit() -> None:
            if self._scheduler is not None:
                await self._scheduler.reload(rules)

        if rules != change.old.rules:
            change.changed.append("alert rules")
            change.at_commit(commit)

    async def _prepare_notifiers(self, change: Change) -> None:
        old, new = change.old.config.alerts.notifiers, change.new.config.alerts.notifiers
        if old == new:
            return
        if not self._delivers and self._supervisor is not None:
            try:
                await self._start_delivery(self._supervisor)
            except OutboxError as problem:
                change.refuse(("alerts", "notifiers"), str(problem))
        channels = {
            name: self._channels[name] if old.get(name) == new[name] else channel
            for name, channel in change.new.channels.items()
        }

        async def commit() -> None:
            self._channels = channels
            await self._delivery.replace(channels)

        change.at_commit(commit)


def _outbox_file(state_dir: Path) -> Path:
    return state_dir / "alerts" / "outbox.db"
