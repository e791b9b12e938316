"""What the wall clock shows at a moment of the schedule."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["WallTime"]

# NTP turns the wall clock slowly and the monotonic clock with it. More than this is somebody setting the clock.
_STEP_US = 1_000_000


class WallTime:
    """Turns seconds since the start into microseconds since the epoch.

    Args:
        clock_us: the wall clock.
        start_us: what it shows at the start, for runs that repeat; it is not looked at then.
    """

    def __init__(self, clock_us: Callable[[], int], start_us: int | None = None) -> None:
        self._clock_us = clock_us
        self._is_fixed = start_us is not None
        self._start_us = clock_us() if start_us is None else start_us

    def follow(self, elapsed_seconds: float) -> None:
        """Notice that the wall clock was set."""
        if self._is_fixed:
            return
        start_us = self._clock_us() - int(elapsed_seconds * 1_000_000)
        if abs(start_us - self._start_us) > _STEP_US:
            self._start_us = start_us

    def at_us(self, times: list[float]) -> list[int]:
        """Return what the clock shows at times of the schedule."""
        start_us = self._start_us
        return [start_us + int(time * 1_000_000) for time in times]
