"""Whether the inputs should go on: high and low marks with somebody to tell."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["HIGH_MARK", "LOW_MARK", "Room"]

HIGH_MARK = 0.9
"""Room is lost here: what connections have already read still fits into the last tenth."""
LOW_MARK = 0.75
"""And is back here: as with a water tank, a mark of its own so that inputs do not stop and go at every
batch.
"""


class Room:
    """Turns how full something is into two calls: room lost, room back."""

    def __init__(self) -> None:
        self.is_open = True
        self._callbacks: list[Callable[[bool], None]] = []

    def subscribe(self, callback: Callable[[bool], None]) -> None:
        """Have ``callback`` called at each change with the new state."""
        self._callbacks.append(callback)

    def update(self, fill: float) -> None:
        """Look at the fill (1.0 is full) and tell everyone when a mark is crossed."""
        now_open = fill <= LOW_MARK or (self.is_open and fill < HIGH_MARK)
        if now_open is not self.is_open:
            self.is_open = now_open
            for callback in tuple(self._callbacks):
                callback(now_open)
