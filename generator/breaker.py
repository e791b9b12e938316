"""The circuit breaker: after failures in a row nothing is tried for a while, then one attempt decides."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """Stands before one receiver.

    Args:
        failures_to_open: failures in a row after which it opens.
        open_seconds: how long it then lets nothing through. The attempt after that closes it or opens it again.
        clock: seconds, monotonic.
        tell: is told in one line when it opens and when it closes.
    """

    def __init__(
        self, *, failures_to_open: int, open_seconds: float, clock: Callable[[], float], tell: Callable[[str], None]
    ) -> None:
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._clock = clock
        self._tell = tell
        self._failures = 0
        self._open_until: float | None = None
        self.openings = 0
        """How often it opened."""

    @property
    def is_open(self) -> bool:
        """Whether the receiver is taken to be away; an attempt may be due all the same."""
        return self._open_until is not None

    @property
    def seconds_to_attempt(self) -> float:
        """How long until an attempt is let through."""
        return max(0.0, self._open_until - self._clock()) if self._open_until is not None else 0.0

    def allows(self) -> bool:
        """Return whether an attempt may be made now."""
        return self.seconds_to_attempt == 0

    def succeeded(self) -> None:
        """Note that an attempt went well."""
        if self._open_until is not None:
            self._tell("circuit closed: the receiver answers again")
        self._failures = 0
        self._open_until = None

    def failed(self, why: str) -> None:
        """Note that an attempt failed."""
        self._failures += 1
        if self._open_until is None and self._failures < self._failures_to_open:
            return
        if self._open_until is None:
            self.openings += 1
            self._tell(f"circuit open, tried again every {self._open_seconds:g} s: {why}")
        self._open_until = self._clock() + self._open_seconds
