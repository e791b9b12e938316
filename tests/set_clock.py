"""A clock that tests set."""

from __future__ import annotations

__all__ = ["SetClock"]


class SetClock:
    """Time that passes when a test says so.

    Args:
        now: where it begins, in seconds.
    """

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
