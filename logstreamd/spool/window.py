"""The part of the spool that is in memory: batches waiting for the writer, and those it is storing.

Belongs to the event loop's thread. The window is the bounded queue between the inputs and the writer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from logstreamd.spool.interface import Spooled, SpoolError

__all__ = ["Window"]


class Window:
    """Durable batches in the order of seq, bounded by bytes.

    Args:
        max_bytes: what it holds at most; one batch is always taken, however large.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._ready: deque[Spooled] = deque()
        self._taken: dict[int, Spooled] = {}
        self._arrived = asyncio.Event()
        self._closed: str | None = None

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def room(self) -> int:
        """Bytes that still fit."""
        return max(0, self.max_bytes - self.nbytes)

    @property
    def oldest(self) -> Spooled | None:
        """The batch with the lowest seq that is not acknowledged, as far as it is in memory."""
        taken = min(self._taken, default=None)
        if taken is not None:
            return self._taken[taken]
        return self._ready[0] if self._ready else None

    def held(self) -> tuple[Spooled, ...]:
        """Return every batch in memory that is not acknowledged."""
        return (*self._taken.values(), *self._ready)

    def fits(self, nbytes: int) -> bool:
        """Whether a batch of this size may be pushed."""
        return not self._ready or nbytes <= self.room

    def push(self, spooled: Spooled) -> None:
        """Add the batch that follows in the order of seq."""
        self._ready.append(spooled)
        self.nbytes += spooled.batch.nbytes
        self._arrived.set()

    async def wait(self) -> None:
        """Wait until there is a batch to take.

        Raises:
            SpoolError: the spool was closed.
        """
        while not self._ready and self._closed is None:
            self._arrived.clear()
            await self._arrived.wait()
        if self._closed is not None:
            raise SpoolError(self._closed)

    def take_nowait(self) -> Spooled:
        """Give out the next batch; it stays known until it is acknowledged."""
        spooled = self._ready.popleft()
        self.nbytes -= spooled.batch.nbytes
        self._taken[spooled.seq] = spooled
        return spooled

    def taken(self, seq: int) -> Spooled | None:
        """Return a batch that is given out and not acknowledged."""
        return self._taken.get(seq)

    def acknowledge(self, seqs: Iterable[int]) -> list[Spooled]:
        """Forget batches that were given out; returns those that were known."""
        known = (self._taken.pop(seq, None) for seq in seqs)
        return [spooled for spooled in known if spooled is not None]

    def close(self, reason: str) -> None:
        """Have everyone who waits for a batch, now or later, get a SpoolError."""
        self._closed = reason
        self._arrived.set()
