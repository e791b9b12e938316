"""When to try again after a delivery that failed. Pure: the time is an argument."""

from __future__ import annotations

__all__ = ["Backoff"]

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0  # a receiver that comes back is noticed within five minutes
_LONGEST_WISH_SECONDS = 3_600.0  # a receiver that says Retry-After is believed up to an hour
_MOST_DOUBLINGS = 10  # far beyond the longest pause; keeps the number small after weeks of failures


class Backoff:
    """Pauses that double with each failure in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self._until: float | None = None

    @property
    def until(self) -> float | None:
        """When to try again, None when nothing failed."""
        return self._until

    def holds(self, now: float) -> bool:
        """Tell whether it is too early to try again."""
        return self._until is not None and now < self._until

    def failed(self, now: float, *, at_least_seconds: float, jitter: float) -> None:
        """Begin the next pause.

        Args:
            now: the time.
            at_least_seconds: what the receiver asked for.
            jitter: 0..1, spreads the attempts of many daemons.
        """
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, _MOST_DOUBLINGS))
        wish = min(at_least_seconds, _LONGEST_WISH_SECONDS)
        self._failures += 1
        self._until = now + max(pause * (1 - jitter / 2), wish)

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures, self._until = 0, None
