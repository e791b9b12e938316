"""Quick retries of one delivery, under a circuit breaker.

A hiccup is over within seconds: a few attempts with growing, jittered pauses. What lasts longer is the mailbox's
business: it waits longer, and sends what is known by then.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import stamina

from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.breaker import Breaker, BreakerOpenError
from logstreamd.metrics import Metrics

__all__ = ["Attempts"]

_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 4.0
_JITTER_SECONDS = 0.5
_FAILURES_TO_OPEN = 6  # two rounds of attempts
_OPEN_SECONDS = 30.0


class Attempts:
    """Delivers to one notifier.

    Args:
        name: the notifier's.
        metrics: every attempt is counted and timed.
    """

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name = name
        self._metrics = metrics
        self._breaker = Breaker(
            name, failures_to_open=_FAILURES_TO_OPEN, open_seconds=_OPEN_SECONDS, innocent=(RejectedError,)
        )

    async def run(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send, and try again when that is promising.

        Raises:
            RejectedError: the receiver does not want it.
            UnavailableError: the attempts are used up, the receiver asked for a pause, or the breaker is open.
        """
        try:
            async for trial in stamina.retry_context(
                on=_is_worth_another,
                attempts=_ATTEMPTS,
                timeout=None,
                wait_initial=_FIRST_PAUSE_SECONDS,
                wait_max=_LONGEST_PAUSE_SECONDS,
                wait_jitter=_JITTER_SECONDS,
            ):
                with trial:
                    await self._breaker.run(lambda: self._attempt(send))
        except BreakerOpenError as problem:
            raise UnavailableError("left alone after failures", retry_after_seconds=_OPEN_SECONDS) from problem

    async def _attempt(self, send: Callable[[], Awaitable[None]]) -> None:
        started = time.monotonic()
        outcome = "failed"
        try:
            await send()
            outcome = "delivered"
        except RejectedError:
            outcome = "rejected"
            raise
        finally:
            self._metrics.alert_deliveries.labels(self._name, outcome).inc()
            self._metrics.alert_delivery_seconds.labels(self._name).observe(time.monotonic() - started)


def _is_worth_another(problem: Exception) -> bool:
    return isinstance(problem, UnavailableError) and not problem.retry_after_seconds
