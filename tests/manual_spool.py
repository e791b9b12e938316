"""A spool that does what the test says: the far side of an input, in memory."""

from __future__ import annotations

import asyncio
from collections import deque

from logstreamd.spool import SpoolError
from logstreamd.wire.batch import Batch


class ManualSpool:
    """Keeps a batch when it is told to.

    Attributes:
        has_room: whether it takes batches.
        prompt: keep every batch at once.
        kept: batches made durable, in order.
        offers: how often a batch was offered.
        changed: set whenever a batch is offered.
    """

    def __init__(self, *, prompt: bool = False, has_room: bool = True) -> None:
        self.prompt = prompt
        self.has_room = has_room
        self.kept: list[Batch] = []
        self.offers = 0
        self.changed = asyncio.Event()
        self._waiting: deque[tuple[Batch, asyncio.Future[int]]] = deque()

    def append(self, batch: Batch) -> asyncio.Future[int] | None:
        self.offers += 1
        self.changed.set()
        if not self.has_room:
            return None
        durable: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, durable))
        if self.prompt:
            self.keep()
        return durable

    @property
    def waiting(self) -> int:
        """Batches it took and has not kept or refused yet."""
        return len(self._waiting)

    def keep(self) -> None:
        """Make the oldest batch durable."""
        batch, durable = self._waiting.popleft()
        self.kept.append(batch)
        if not durable.done():  # as the real one: who waited may be gone, the batch is kept all the same
            durable.set_result(len(self.kept))

    def fail(self) -> None:
        """Refuse the oldest batch, as a full disk does."""
        _, durable = self._waiting.popleft()
        if not durable.done():
            durable.set_exception(SpoolError("not spooled: no space left on device"))

    def open_up(self) -> None:
        """Have room, and keep everything at once from now on."""
        self.has_room = self.prompt = True
        while self._waiting:
            self.keep()

    @property
    def frames(self) -> list[bytes]:
        """The frames it keeps, in order."""
        return [frame for batch in self.kept for frame in batch.frames()]

    async def until_frames(self, count: int, *, timeout_seconds: float = 20) -> None:
        """Wait until it keeps so many frames; the time is for a test that fails."""
        async with asyncio.timeout(timeout_seconds):
            while sum(map(len, self.kept)) < count:
                self.changed.clear()
                await self.changed.wait()
                await asyncio.sleep(0)


async def turns(count: int = 3) -> None:
    """Let the event loop run what is due."""
    for _ in range(count):
        await asyncio.sleep(0)
