"""A notifier at work: its mailbox, the task that empties it, and how it is doing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import structlog

from logstreamd.alerts.mailbox import Mailbox
from logstreamd.alerts.notify.attempts import Attempts
from logstreamd.alerts.notify.build import Channel

__all__ = ["Desk"]

_log = structlog.get_logger(__name__)

_LOG_DROPS_EVERY_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Desk:
    """A notifier at work.

    Attributes:
        name: in the configuration.
        channel: how it is told.
        mailbox: what it is told.
        attempts: quick retries.
        wake: there is something new.
        idle: nothing is due.
        worker: the task that tells it, None before it begins.
        problem: why the last message was not delivered.
        delivered_at: when the last one was.
    """

    name: str
    channel: Channel
    mailbox: Mailbox
    attempts: Attempts
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None
    problem: str | None = None
    delivered_at: float | None = None
    _dropped: dict[str, int] = field(default_factory=dict)
    _drops_logged_at: float = 0.0

    def note_drop(self, reason: str, alerts: int) -> None:
        """Remember that alerts were given up, for the log."""
        self._dropped[reason] = self._dropped.get(reason, 0) + alerts

    def log_drops(self) -> None:
        """Say what was given up, not too often."""
        now = time.monotonic()
        if self._dropped and now - self._drops_logged_at >= _LOG_DROPS_EVERY_SECONDS:
            _log.error("alerts were not told", notifier=self.name, **self._dropped)
            self._drops_logged_at, self._dropped = now, {}

    def status(self, now: float) -> dict[str, Any]:
        """Return how it is doing."""
        retry_at = self.mailbox.retry_at
        return {
            "type": self.channel.type,
            "waiting": self.mailbox.waiting,
            "firing": self.mailbox.firing,
            "problem": self.problem,
            "retry_in_seconds": None if retry_at is None else round(max(0.0, retry_at - now), 1),
            "delivered_seconds_ago": None if self.delivered_at is None else round(now - self.delivered_at, 1),
        }
