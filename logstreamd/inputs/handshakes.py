"""Whose turn it is to shake hands.

A handshake costs a signature (a millisecond with RSA) and some 100 KiB while it lasts, so only so many happen at a
time; the others wait, unread. One address has a quarter of the places: whoever begins handshakes without going on with
them keeps nobody else out, and what waits goes on in turns, one of each address. Who says nothing has no place.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import Protocol

__all__ = ["Handshakes", "Shaking"]

_SHARE = 4  # of the places for one address


class Shaking(Protocol):
    """A connection that has to shake hands."""

    address: str

    def start_handshake(self) -> None:
        """Go on: it is its turn."""


class Handshakes:
    """Gives out places.

    Args:
        places: how many handshakes may happen at a time.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[Shaking]] = OrderedDict()

    def __len__(self) -> int:
        return self._running.total()

    def enter(self, one: Shaking) -> bool:
        """Take a place, or wait for one.

        Returns:
            Whether there is one now; else :meth:`Shaking.start_handshake` will be called.
        """
        if self._has_place(one.address):
            self._running[one.address] += 1
            return True
        self._waiting.setdefault(one.address, deque()).append(one)
        return False

    def leave(self, one: Shaking) -> None:
        """Give the place back, and let the next one go on."""
        self._running[one.address] -= 1
        if not self._running[one.address]:
            del self._running[one.address]
        self.go_on()

    def give_up(self, one: Shaking) -> None:
        """Stop waiting."""
        queue = self._waiting[one.address]
        queue.remove(one)
        if not queue:
            del self._waiting[one.address]

    def go_on(self) -> None:
        """Give out the places that are free."""
        for address in list(self._waiting):
            if len(self) >= self.places:
                return
            if self._has_place(address):
                self._start_next_of(address)

    def _start_next_of(self, address: str) -> None:
        queue = self._waiting[address]
        one = queue.popleft()
        if queue:
            self._waiting.move_to_end(address)
        else:
            del self._waiting[address]
        self._running[address] += 1
        one.start_handshake()

    def _has_place(self, address: str) -> bool:
        return len(self) < self.places and self._running[address] < max(1, self.places // _SHARE)
