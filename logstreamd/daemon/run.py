"""The composition root: builds the parts from the configuration, starts them sinks first, and stops them in reverse.

====  ===========================  ==================================================
step  start                        stop, from the last step to the first
====  ===========================  ==================================================
1     embedded PostgreSQL          shut it down
2     spool                        make everything durable and close it
3     writer and database keeper   drain to PostgreSQL within a deadline
4     inputs                       stop accepting, bring what was gathered to the spool
5     alerts                       finish evaluations, tell what waits within a deadline
6     HTTP                         finish what is being answered
====  ===========================  ==================================================

An outside PostgreSQL may be away at the start and at any time after it: messages are received and spooled meanwhile,
and ``/ready`` says what is wrong. Only this module knows all the parts.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import structlog

from logstreamd import __version__, tracing
from logstreamd.config import redacted
from logstreamd.daemon.alerting import Alerting
from logstreamd.daemon.intake import Intake
from logstreamd.daemon.loop_lag import sample_loop_lag
from logstreamd.daemon.material import Material
from logstreamd.daemon.reload import Change, Prepare, Reloader
from logstreamd.daemon.report import Report, announce
from logstreamd.daemon.service import Service
from logstreamd.daemon.serving import Serving
from logstreamd.daemon.storing import Storing
from logstreamd.daemon.supervisor import Death, Supervisor
from logstreamd.daemon.vitals import Vitals
from logstreamd.inputs.inherited import INHERITED
from logstreamd.metrics import Metrics
from logstreamd.ownlog import OwnLog, set_level, writes_json
from logstreamd.query.tail import RecentBatches
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.errors import StorageError
from logstreamd.storage.session import DATABASE_TROUBLE, Health
from logstreamd.systemd import Notifier, take_listen_sockets, take_watchdog_seconds
from logstreamd.wire import IMPLEMENTATION

__all__ = ["run_daemon"]

_log = structlog.get_logger(__name__)
_FIRST_CONTACT_SECONDS = 5.0  # before the daemon says that it is ready, with or without the database
_RESTART_SECONDS = 2.0  # between two attempts to start the embedded PostgreSQL again; messages are spooled meanwhile


async def run_daemon(material: Material, read: Callable[[], Material], own_log: OwnLog) -> int:
    """Run until SIGTERM or SIGINT, the end of its terminal, or until a background task dies; SIGHUP reloads.

    Args:
        material: the configuration and what it names, checked and complete.
        read: reads it again for a reload.
        own_log: where the daemon's own lines go.

    Returns:
        The exit code: 0 after a signal, 1 when a task died.

    Raises:
        OutboxError: alerts can't be delivered.
        OSError: an address can't be bound.
        StorageError: the embedded PostgreSQL can't be used; the message says what to do.
        SpoolError: the spool can't be used.
    """
    return await _Daemon(material, read, own_log).run()


class _Daemon:
    """All the parts of a running daemon, and the order in which they come and go."""

    def __init__(self, material: Material, read: Callable[[], Material], own_log: OwnLog) -> None:
        self._material = material
        self._config = material.config
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._metrics = Metrics(version=__version__, wire=IMPLEMENTATION)
        self._own_log = own_log
        own_log.count(written=self._metrics.log_lines, suppressed=self._metrics.suppressed_log_lines)
        self._health = Health(self._metrics)
        self._supervisor = Supervisor()
        self._supervisor.death.add_done_callback(self._on_death)
        self._intake = Intake(material, self._metrics, self._supervisor)
        self._recent = RecentBatches()
        self._service = Service(Notifier.from_environment(os.environ), take_watchdog_seconds(os.environ))
        self._reloader = Reloader(
            material, read, self._metrics, on_begin=self._service.reloading, on_end=self._service.ready
        )
        self._death: Death | None = None
        self._database_directories: list[str] = []

    async def run(self) -> int:
        """Start, wait, stop; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup, _has_terminal())
        INHERITED.adopt(take_listen_sockets(os.environ))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._supervisor.stop)
            self._supervisor.start("event loop lag", sample_loop_lag(self._metrics.event_loop_lag_seconds.observe))
            self._start_tracing(stack)
            self._supervisor.start("log's books", self._own_log.keep_books())
            dsn = await self._start_database(stack)
            await self._intake.open_spool()
            stack.push_async_callback(self._intake.close_spool)
            storing = self._start_storing(stack, dsn)
            stack.push_async_callback(self._intake.stop_inputs)
            await self._intake.start_inputs()
            alerting = Alerting(self._material, dsn, self._metrics)
            await alerting.start(stack, self._supervisor, ready=storing.migrated.wait)
            serving = await self._start_serving(stack, dsn, alerting)
            INHERITED.refuse_idle()
            await self._meet_database(storing)
            if not self._stop.is_set():
                self._announce(serving.url, dsn)
                self._service.ready()
                self._start_reloader(stack, storing.prepare, self._intake.prepare, serving.prepare, alerting.prepare)
            await self._stop.wait()
            self._service.stopping()
        await self._service.close()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing is left to be stopped
        self._own_log.say_overdue(closing=True)
        _log.info("stopped", ledger={name: line.as_dict() for name, line in self._metrics.ledgers().items()})
        return 0 if self._death is None else 1

    def _start_tracing(self, stack: AsyncExitStack) -> None:
        settings = self._config.tracing
        if settings.endpoint is not None:
            stop = tracing.start(
                endpoint=settings.endpoint.text,
                service_name=settings.service_name,
                sample_ratio=settings.sample_ratio,
                timeout_seconds=settings.timeout_seconds,
                on_lost=self._metrics.lost_spans.inc,
            )
            stack.push_async_callback(stop)

    def _on_signal(self, number: int) -> None:
        """Stop; at the second signal, leave to the spool what is not stored yet."""
        _log.info("signal", name=signal.Signals(number).name)
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _on_hangup(self, had_terminal: bool) -> None:
        """Reload, unless the signal says that the terminal we were started from is gone."""
        if had_terminal and not _has_terminal():
            self._on_signal(signal.SIGHUP)
        else:
            self._reloader.ask()

    def _on_death(self, death: asyncio.Future[Death]) -> None:
        self._death = death.result()
        self._stop.set()

    async def _meet_database(self, storing: Storing) -> None:
        """Give the database a moment to be there before the daemon says that it is ready; it may be away."""
        waits = [asyncio.create_task(event.wait()) for event in (storing.migrated, self._stop)]
        await asyncio.wait(waits, timeout=_FIRST_CONTACT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _start_database(self, stack: AsyncExitStack) -> str:
        """Start the embedded PostgreSQL if it is ours to start; return where the database is."""
        if not self._config.database.embedded:
            return self._config.database.dsn
        postgres = EmbeddedPostgres(self._config.state_dir / "postgres")
        dsn = await postgres.start()
        stack.push_async_callback(postgres.stop)
        stack.push_async_callback(self._supervisor.stop)
        self._supervisor.start("embedded PostgreSQL", _keep_running(postgres))
        if not postgres.data_dir.is_relative_to(self._config.state_dir):
            self._database_directories.append(str(postgres.data_dir))
        _log.info("embedded PostgreSQL runs", version=postgres.version, user=postgres.user)
        return dsn

    def _start_storing(self, stack: AsyncExitStack, dsn: str) -> Storing:
        intake = self._intake
        storing = Storing(
            self._config,
            dsn,
            intake.spool,
            self._health,
            self._metrics,
            policy_of=intake.policy_of,
            watcher=self._recent,
        )
        stack.push_async_callback(self._stop_storing, storing)
        storing.start(self._supervisor)
        return storing

    async def _stop_storing(self, storing: Storing) -> None:
        if self._death is None:
            await storing.drain(self._hurry)
        await self._supervisor.stop()
        await storing.close()

    def _start_reloader(self, stack: AsyncExitStack, *parts: Prepare) -> None:
        self._reloader.add(_prepare_log, *parts)
        stack.push_async_callback(self._reloader.stop)
        self._supervisor.start("reload", self._reloader.run())

    async def _start_serving(self, stack: AsyncExitStack, dsn: str, alerting: Alerting) -> Serving:
        intake = self._intake
        report = Report(self._metrics, self._health, intake.spool, intake.inputs, lambda: self._supervisor.running)

        def status() -> dict[str, Any]:
            access = "open" if serving.access.is_open else "tokens"
            config = self._reloader.status()
            return {
                **report.status(),
                "access": access,
                "held_back": {**intake.held_back(), **serving.held_back()},
                "alerts": alerting.status(),
                "config": config,
            }

        serving = Serving(
            self._material,
            dsn,
            intake=intake,
            alerting=alerting,
            recent=self._recent,
            metrics=self._metrics,
        )
        await serving.start(stack, self._supervisor, problems=report.problems, status=status)
        if self._service.managed:
            self._supervisor.start("signs of life", self._give_signs_of_life(report))
        return serving

    async def _give_signs_of_life(self, report: Report) -> None:
        vitals = Vitals(
            ping=self._intake.spool.ping,
            ledgers=self._metrics.ledgers,
            database_problem=lambda: self._health.problem,
            dead_task=lambda: None if self._death is None else self._death.task,
            answer_seconds=self._service.interval_seconds,
        )

        def stored() -> int:
            return sum(line.stored for line in self._metrics.ledgers().values())

        await self._service.run(fault=vitals.fault, problems=report.problems, stored=stored)

    def _announce(self, http: str, dsn: str) -> None:
        config = self._config
        announce(
            listening=[*self._intake.listening, f"POST {http}/api/v1/logs"],
            http=http,
            psql=redacted(dsn),
            problem=self._health.problem,
            data=[str(config.state_dir), *self._database_directories],
            as_json=writes_json(config.log.format),
        )


async def _prepare_log(change: Change) -> None:
    async def commit() -> None:
        set_level(change.new.config.log.level)

    change.at_commit(commit)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal; one that hung up is none any more. Source: tty(4)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _keep_running(postgres: EmbeddedPostgres) -> None:
    """Start the embedded PostgreSQL again whenever it ends without being told to, until it runs."""
    while True:
        await postgres.wait_stopped()
        _log.error("embedded PostgreSQL ended, starting it again")
        try:
            await postgres.start()
        except (StorageError, *DATABASE_TROUBLE) as problem:  # it may have been killed while it recovered
            _log.error("embedded PostgreSQL did not start, will try again", problem=str(problem))
            await asyncio.sleep(_RESTART_SECONDS)
