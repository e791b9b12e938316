"""How late the event loop is: everything this daemon promises runs on it, and what keeps it busy delays the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

__all__ = ["sample_loop_lag"]

_INTERVAL_SECONDS = 0.25
"""Between two looks: four a second cost nothing, and a loop that stands still for a second can't hide between them."""


async def sample_loop_lag(
    observe: Callable[[float], None],
    *,
    interval_seconds: float = _INTERVAL_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Measure, for ever, how much later than asked for the event loop wakes somebody up.

    Args:
        observe: told the seconds, once per look.
        interval_seconds: between two looks.
        monotonic: a steady clock.
        sleep: waits on the event loop.
    """
    while True:
        due = monotonic() + interval_seconds
        await sleep(interval_seconds)
        observe(max(0.0, monotonic() - due))
