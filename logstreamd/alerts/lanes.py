"""How many rules ask at once, and that those which take long are in nobody's way."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

__all__ = ["Lanes"]


class Lanes:
    """One lane for the rules that took long the last time, the others for the rest; each is taken in turn.

    Args:
        count: how many rules may ask at once; at least two.
    """

    def __init__(self, count: int) -> None:
        self._quick = asyncio.Semaphore(count - 1)
        self._slow = asyncio.Semaphore(1)

    def take(self, *, slow: bool) -> AbstractAsyncContextManager[None]:
        """Wait for one's turn; it lasts as long as the block."""
        return self._slow if slow else self._quick
