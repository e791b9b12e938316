"""Alerts → notifiers: the shell around the mailboxes, with the clock, the outbox and a worker for each notifier.

What :meth:`Delivery.notify` was given is in the outbox when it returns; a worker brings it to its receiver, and to no
other: a receiver that hangs holds up nobody. Delivery is at least once. A message comes twice when the daemon is killed
between the receiver's answer and the outbox, or when an answer gets lost; its alerts have the same fingerprints then.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from logstreamd import faults
from logstreamd.alerts.alert import Alert
from logstreamd.alerts.desk import Desk
from logstreamd.alerts.group import Entry
from logstreamd.alerts.mailbox import Mailbox
from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.attempts import Attempts
from logstreamd.alerts.notify.build import Channel
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.alerts.outbox import Outbox
from logstreamd.alerts.outbox_file import Change, Stored
from logstreamd.metrics import Metrics

__all__ = ["Delivery", "SteadyClock", "UnknownReceiverError"]

_log = structlog.get_logger(__name__)

_HOUSEKEEPING_SECONDS = 60.0  # what has resolved is forgotten also while nothing happens
_SHORTEST_WAIT_SECONDS = 0.05  # alerts of one evaluation that become due one after the other share a turn


class UnknownReceiverError(ValueError):
    """A rule names a notifier that the configuration does not have."""


class SteadyClock:
    """Seconds since the epoch as they were at the start, counted on: setting the clock neither hurries nor delays."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return the time."""
        return time.monotonic() + self._offset


class Delivery:
    """Tells notifiers about alerts.

    Args:
        channels: the notifiers by name.
        outbox: not open yet.
        metrics: deliveries, queues, drops.
        is_silenced: tells whether an alert with these labels is silenced now.
        clock: see :class:`SteadyClock`.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        outbox: Outbox,
        metrics: Metrics,
        *,
        is_silenced: Callable[[Mapping[str, str]], bool] = lambda labels: False,
        clock: SteadyClock | None = None,
    ) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock or SteadyClock()
        self._writing = asyncio.Lock()
        self._outbox_failing = False
        self._is_silenced = is_silenced
        self._workers: asyncio.TaskGroup | None = None
        self._desks = {name: self._new_desk(name, channel) for name, channel in channels.items()}

    def _new_desk(self, name: str, channel: Channel) -> Desk:
        mailbox = Mailbox(name, channel.policy, partial(self._on_drop, name), self._is_silenced)
        self._metrics.watch_notifier(name, waiting=partial(_waiting, mailbox))
        return Desk(name, channel, mailbox, Attempts(name, self._metrics))

    @property
    def receivers(self) -> tuple[str, ...]:
        """The names that rules may notify."""
        return tuple(self._desks)

    def untold(self) -> set[str]:
        """Return the names of the rules whose alerts wait to be told."""
        return set().union(*(desk.mailbox.untold for desk in self._desks.values()))

    async def start(self) -> None:
        """Open the outbox and go on with what an earlier run left.

        Raises:
            OutboxError: it cannot be used.
        """
        stored: dict[str, list[Stored]] = {}
        for one in await self._outbox.open(self._clock()):
            stored.setdefault(one.notifier, []).append(one)
        for name, left in stored.items():
            if name in self._desks:
                self._desks[name].mailbox.restore(one.entry for one in left)
                waiting = self._desks[name].mailbox.waiting
                if waiting:
                    _log.info("alerts left by an earlier run are told now", notifier=name, alerts=waiting)
            else:
                await self._forget(name, [one.entry for one in left])

    async def _forget(self, name: str, left: Sequence[Entry]) -> None:
        """Have the outbox forget what a notifier that is gone was not told."""
        changes = [Change(name, entry.key, None) for entry in left]
        if changes:
            untold = sum(entry.waiting_since is not None for entry in left)
            _log.warning("forgets the alerts of a notifier that is gone", notifier=name, untold=untold)
            await self._write(changes)

    async def run(self, begin: Callable[[], Awaitable[object]] | None = None) -> None:
        """Deliver until cancelled: the background task that has to be watched. A defect in a notifier ends it.

        Args:
            begin: returns when to begin; None: at once.
        """
        if begin is not None:
            await begin()
        async with asyncio.TaskGroup() as self._workers:
            for desk in self._desks.values():
                self._start_worker(desk)
            await asyncio.Event().wait()  # also without a worker: another notifier may come

    def _start_worker(self, desk: Desk) -> None:
        if self._workers is not None:
            desk.worker = self._workers.create_task(self._work(desk), name=f"notifier {desk.name}")

    async def replace(self, channels: Mapping[str, Channel]) -> None:
        """Tell other notifiers from now on.

        Args:
            channels: all notifiers by name; the channels of those that go on as they are, are the same objects.
        """
        leaving = [desk for name, desk in self._desks.items() if channels.get(name) is not desk.channel]
        # A message that is being sent is told again by whoever takes over: at least once.
        await _end_workers(leaving)
        await self._persist()
        fresh = {}
        for name, channel in channels.items():
            if name not in self._desks or self._desks[name].channel is not channel:
                fresh[name] = self._new_desk(name, channel)
                if name in self._desks:
                    fresh[name].mailbox.take_over(self._desks[name].mailbox)
        self._desks = {name: fresh.get(name) or self._desks[name] for name in channels}
        for desk in fresh.values():
            self._start_worker(desk)
        for desk in leaving:
            await desk.channel.notifier.close()
            if desk.name not in channels:
                await self._forget(desk.name, desk.mailbox.entries)

    async def notify(
        self, alerts: Iterable[Alert], receivers: Iterable[str], *, interval_seconds: float = 60.0
    ) -> None:
        """Tell notifiers about alerts. What is new about them is durable when this returns.

        To be called after every evaluation, with all alerts that fire and those that have just resolved: what has been
        told already is not told again, but an alert that is not confirmed for four intervals is not repeated either.

        Args:
            alerts: in any number.
            receivers: names of notifiers.
            interval_seconds: how often their rule is evaluated.

        Raises:
            UnknownReceiverError: there is no such notifier; nobody is told.
        """
        told = tuple(alerts)
        desks = [self._desk(name) for name in receivers]
        now = self._clock()
        for desk in desks:
            for alert in told:
                desk.mailbox.put(alert, interval_seconds, now)
        if await self._persist():
            for desk in desks:
                desk.wake.set()

    async def stand_by(self) -> None:
        """Leave what fires to another daemon, see :meth:`Mailbox.stand_by`."""
        for desk in self._desks.values():
            desk.mailbox.stand_by(self._clock())
        await self._persist()

    def _desk(self, name: str) -> Desk:
        if name not in self._desks:
            raise UnknownReceiverError(
                f"no notifier is called '{name}' (there are: {', '.join(self._desks) or 'none'})"
            )
        return self._desks[name]

    async def _persist(self) -> bool:
        """Write what has changed; return whether anything had."""
        async with self._writing:
            changes = [
                Change(name, key, entry)
                for name, desk in self._desks.items()
                for key, entry in desk.mailbox.take_changes()
            ]
            if changes:
                await self._write(changes)
            return bool(changes)

    async def _write(self, changes: list[Change]) -> None:
        """Write to the outbox. When it fails alerts are told all the same: some of them are about a full disk."""
        try:
            await self._outbox.write(changes)
        except (sqlite3.Error, OSError) as problem:
            self._metrics.alert_outbox_failures.inc()
            for change in changes:
                if change.notifier in self._desks:
                    self._desks[change.notifier].mailbox.note_changes([change.key])
            if not self._outbox_failing:
                _log.error("the alerts' outbox cannot be written; alerts are told from memory", problem=str(problem))
            self._outbox_failing = True
            return
        if self._outbox_failing:
            _log.info("the alerts' outbox can be written again")
        self._outbox_failing = False

    async def _work(self, desk: Desk) -> None:
        while True:
            desk.wake.clear()
            message = desk.mailbox.due(self._clock())
            desk.log_drops()
            if message is not None:
                await self._persist()  # an alert that is being queued right now is not told before it is durable
                await self._deliver(desk, message)
            else:
                await self._persist()
                if not desk.wake.is_set():  # nothing came meanwhile, nor the wish to stop
                    desk.idle.set()
                    await self._wait(desk)

    async def _wait(self, desk: Desk) -> None:
        """Wait until a message is due, or there is something new."""
        now = self._clock()
        due = desk.mailbox.next_due(now)
        seconds = _HOUSEKEEPING_SECONDS if due is None else min(due - now, _HOUSEKEEPING_SECONDS)
        try:
            async with asyncio.timeout(max(seconds, _SHORTEST_WAIT_SECONDS)):
                await desk.wake.wait()
        except TimeoutError:
            pass

    async def _deliver(self, desk: Desk, message: Message) -> None:
        try:
            await desk.attempts.run(lambda: desk.channel.notifier.send(message))
        except RejectedError as problem:
            _log.error("a message was rejected", notifier=desk.name, alerts=len(message.alerts), problem=str(problem))
            desk.problem = str(problem)
            desk.mailbox.rejected(self._clock())
        except UnavailableError as problem:
            self._on_failure(desk, problem)
        else:
            faults.hit("alerts.delivered")
            if desk.problem is not None:
                _log.info("a notifier delivers again", notifier=desk.name, after=desk.problem)
            desk.problem, desk.delivered_at = None, self._clock()
            desk.mailbox.delivered(self._clock())
        desk.log_drops()
        await self._persist()

    def _on_failure(self, desk: Desk, problem: UnavailableError) -> None:
        if desk.problem is None:
            _log.warning("a notifier does not deliver, will retry", notifier=desk.name, problem=str(problem))
        desk.problem = str(problem)
        jitter = random.random()  # noqa: S311 - spreads attempts, hides nothing
        desk.mailbox.failed(self._clock(), at_least_seconds=problem.retry_after_seconds, jitter=jitter)

    def _on_drop(self, name: str, reason: str, alerts: int) -> None:
        self._metrics.dropped_alerts.labels(name, reason).inc(alerts)
        self._desks[name].note_drop(reason, alerts)

    async def stop(self, deadline_seconds: float) -> None:
        """Tell what waits, then stop; what is not told by the deadline stays in the outbox for the next start.

        Args:
            deadline_seconds: how long receivers may take. One that has failed before is not waited for.
        """
        if self._workers is not None:
            for desk in self._desks.values():
                desk.mailbox.hurry()
                desk.idle.clear()
                desk.wake.set()
            waits = [asyncio.create_task(desk.idle.wait()) for desk in self._desks.values()]
            if waits:
                await asyncio.wait(waits, timeout=deadline_seconds)
            for wait in waits:
                wait.cancel()
            await _end_workers(self._desks.values())
        untold = {name: desk.mailbox.waiting for name, desk in self._desks.items() if desk.mailbox.waiting}
        if untold:
            _log.warning("alerts left in the outbox for the next start", **untold)
        await self._persist()
        for desk in self._desks.values():
            await desk.channel.notifier.close()
        await self._outbox.close()

    def status(self) -> dict[str, Any]:
        """Return how every notifier is doing."""
        return {name: desk.status(self._clock()) for name, desk in self._desks.items()}


async def _end_workers(desks: Iterable[Desk]) -> None:
    workers = [desk.worker for desk in desks if desk.worker is not None]
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


def _waiting(mailbox: Mailbox) -> int:
    return mailbox.waiting
