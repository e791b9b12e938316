"""A token bucket: so many messages a minute, and as many at once after a quiet minute."""

from __future__ import annotations

__all__ = ["RateLimit"]


class RateLimit:
    """Grants messages.

    Args:
        per_minute: how many, from 1.
    """

    def __init__(self, per_minute: int) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60.0
        self._tokens = self._capacity
        self._as_of: float | None = None

    def available(self, now: float) -> int:
        """Return how many messages may be sent now."""
        if self._as_of is not None:
            earned = (now - self._as_of) * self._per_second
            self._tokens = min(self._capacity, self._tokens + earned)
        self._as_of = now
        # The sum of many small earnings may end a hair below the whole.
        return int(self._tokens + 1e-9)

    def take(self, now: float) -> None:
        """Count a message; there was one available."""
        self.available(now)
        self._tokens = max(0.0, self._tokens - 1)

    def next_at(self, now: float) -> float:
        """Return when a message may be sent: now, or when the next token is there."""
        if self.available(now) >= 1:
            return now
        return now + (1 - self._tokens) / self._per_second
