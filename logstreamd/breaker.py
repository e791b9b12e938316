"""The circuit breaker: after failures in a row it answers for a service that is down, then lets attempts through again.

The one place that knows the library. It is a leaf: the database's sessions and the alert notifiers use it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

__all__ = ["Breaker", "BreakerOpenError"]

_T = TypeVar("_T")

BreakerOpenError = OpenedState
"""Raised instead of an attempt while the breaker is open."""


class Breaker:
    """Stands before one service.

    Args:
        service: its name.
        failures_to_open: failures in a row after which it opens.
        open_seconds: how long it then stays open. The first success after that closes it, a failure opens it again.
        innocent: exceptions that say nothing about whether the service is up.
    """

    def __init__(
        self,
        service: str,
        *,
        failures_to_open: int,
        open_seconds: float,
        innocent: Iterable[type[BaseException]] = (),
    ) -> None:
        self._service = service
        self._open_seconds = open_seconds
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=failures_to_open,
            default_ttl=open_seconds,
            exclude=[OpenedState, asyncio.CancelledError, *innocent],
        )
        self._breakers.add_listener(self._on_event)
        self._opened_at = 0.0
        self.is_open = False

    def _on_event(self, _service: str, event: str, details: object) -> None:
        if event == "state_changed":
            self.is_open = getattr(details, "state", None) == "opened"
            self._opened_at = time.monotonic()

    async def run(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        """Run an exchange with the service, unless the breaker is open.

        Raises:
            BreakerOpenError: it is open, nothing was attempted.
            Exception: whatever the operation raises.
        """
        try:
            async with await self._breakers.get_breaker(self._service):
                return await operation()
        except OpenedState as opened:
            if time.monotonic() - self._opened_at > self._open_seconds:
                opened.opened_at = 0.0  # the library goes by the wall clock, and that was set back
            raise
