"""The daemon as a service of systemd: what it tells its manager while it starts, runs, reloads and stops.

The watchdog's sign of life is not a timer's: it is sent when :class:`~logstreamd.daemon.vitals.Vitals` found nothing
that a new start would cure. One that is left out costs nothing; without any for ``WatchdogSec=`` the daemon is started
anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from logstreamd.systemd import Notifier

__all__ = ["Service"]

_log = structlog.get_logger(__name__)
_STATUS_SECONDS = 5.0
_SIGNS_PER_WATCHDOG = 4  # sd_watchdog_enabled(3) recommends two; one may come late and one get lost
_EXTEND_SECONDS = 15.0  # asked for anew every 5 s while the daemon stops: one that hangs is still killed in time


class Service:
    """Speaks to the service manager; to nobody when there is none.

    Args:
        notifier: where to.
        watchdog_seconds: how long the manager waits for a sign of life, None for ever.
    """

    def __init__(self, notifier: Notifier, watchdog_seconds: float | None) -> None:
        self._notifier = notifier
        self._stopping: asyncio.Task[None] | None = None
        self.interval_seconds = _STATUS_SECONDS
        """Between two signs of life."""
        if watchdog_seconds is not None:
            self.interval_seconds = min(_STATUS_SECONDS, watchdog_seconds / _SIGNS_PER_WATCHDOG)

    @property
    def managed(self) -> bool:
        """Whether there is a service manager."""
        return self._notifier.listens

    def ready(self) -> None:
        """The daemon listens, for the first time or with a new configuration."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The configuration is being read anew; :meth:`ready` ends that, however it went."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The daemon stops, and takes what time it needs as long as its event loop turns; :meth:`close` ends that."""
        self._tell("STOPPING=1", "STATUS=stopping: storing what is spooled")
        if self.managed and self._stopping is None:
            self._stopping = asyncio.create_task(self._extend(), name="service manager: stopping")

    async def _extend(self) -> None:
        while True:
            self._tell(f"EXTEND_TIMEOUT_USEC={_EXTEND_SECONDS * 1_000_000:.0f}")
            await asyncio.sleep(_STATUS_SECONDS)

    async def run(
        self,
        *,
        fault: Callable[[], Awaitable[str | None]],
        problems: Callable[[], list[str]],
        stored: Callable[[], int],
    ) -> None:
        """Give signs of life, and say for people how it goes, for ever.

        Args:
            fault: what a new start would cure.
            problems: what is wrong otherwise, one sentence each.
            stored: rows stored so far.
        """
        before, looked_at, reported = stored(), time.monotonic(), None
        while True:
            found = await fault()
            if found is not None and found != reported:
                _log.error("no sign of life for the service manager", fault=found)
            reported = found
            rows, now = stored(), time.monotonic()
            said = found or "; ".join(problems()) or f"{(rows - before) / max(now - looked_at, 1e-3):,.0f} rows/s"
            if self._stopping is None:  # afterwards nobody watches, and the word is that it stops
                self._tell(*(() if found else ("WATCHDOG=1",)), f"STATUS={said}")
            before, looked_at = rows, now
            await asyncio.sleep(self.interval_seconds)

    async def close(self) -> None:
        """Ask for no more time."""
        if self._stopping is not None:
            self._stopping.cancel()
            await asyncio.wait([self._stopping])

    def _tell(self, *assignments: str) -> None:
        if not self._notifier.send(*assignments):
            _log.warning("the service manager did not take a message", message=assignments[0])
