"""Time that passes when somebody sleeps."""

from __future__ import annotations

from generator.stop import Stop

__all__ = ["FakeStop"]


class FakeStop(Stop):
    """A clock, and sleep that moves it.

    Args:
        hiccups: how many seconds too late sleep ends, one for each sleep from the first on.
    """

    def __init__(self, hiccups: list[float] | None = None) -> None:
        super().__init__()
        self.now = 1_000.0
        self.slept: list[float] = []
        self._hiccups = list(hiccups or [])

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        if not self.requested:
            self.slept.append(seconds)
            self.now += max(seconds, 0) + (self._hiccups.pop(0) if self._hiccups else 0)
        return self.requested
