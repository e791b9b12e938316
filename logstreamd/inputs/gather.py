"""Frames → batches → the spool: what every input has behind it.

An input appends to :attr:`Gatherer.batch` and calls :meth:`Gatherer.added`. A batch is sealed when it is full, or when
its first frame is ``max_age_seconds`` old. Sealed batches go to the spool one at a time and in order, so that messages
of one sender are stored in the order in which they came; while the spool is busy with one, the next one grows. A lone
message is therefore quick and a flood comes in large batches, without a setting for either.

Bounds: at most ``_MAX_SEALED`` sealed batches wait here. Beyond that the input is *congested*: one that can make its
senders wait stops reading, one that can't (UDP) drops the newest batch and counts every message in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from logstreamd import faults
from logstreamd.inputs.losses import Losses
from logstreamd.metrics import Metrics
from logstreamd.wire.batch import MAX_ROWS, PARTIAL, TRUNCATED, Batch

__all__ = ["Append", "Gatherer", "is_kept"]

# Four batches of 2 MiB per input: enough to read on while a slow disk commits one, small beside the memory goal.
_MAX_SEALED = 4
_RETRY_SECONDS = 0.5
# A batch tells its senders apart by 16-bit numbers. Connections that come and go without a message use them up, too.
_MAX_PEERS = MAX_ROWS


class Append(Protocol):
    """The spool, as an input sees it."""

    def __call__(self, batch: Batch, /) -> asyncio.Future[int] | None:
        """Keep a batch.

        Returns:
            A future that is done once the batch is durable and fails when it could not be kept (the caller
            still has it then); None when there is no room.
        """


class Gatherer:
    """Gathers the frames of one input into batches.

    Args:
        name: the input's name.
        append: the spool.
        metrics: counted per batch.
        max_rows: frames per batch.
        max_bytes: bytes of frames per batch.
        max_age_seconds: how long a frame waits for company.
        drop_when_full: drop the newest batch instead of making the sender wait.

    Attributes:
        on_congestion: told True when the input should stop reading and False when it may read on.
    """

    def __init__(
        self,
        name: str,
        append: Append,
        metrics: Metrics,
        *,
        max_rows: int,
        max_bytes: int,
        max_age_seconds: float,
        drop_when_full: bool = False,
    ) -> None:
        self.name = name
        self._append = append
        self._metrics = metrics
        # Counted at every read: looking a label up costs more than counting.
        self._received_bytes = metrics.received_bytes.labels(name)
        self._received_frames = metrics.received_frames.labels(name)
        self.apply(max_rows=max_rows, max_bytes=max_bytes, max_age_seconds=max_age_seconds)
        self._drop_when_full = drop_when_full
        self._losses = Losses(name, "the spool has no room")
        self.on_congestion: Callable[[bool], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        self._sealed: deque[Batch] = deque()
        self._submitted: Batch | None = None
        self._durable: asyncio.Future[int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._counted = 0
        self._gave_up = False
        self.congested = False
        self.batch = self._new_batch()

    def apply(self, *, max_rows: int, max_bytes: int, max_age_seconds: float) -> None:
        """Take other bounds; the open batch keeps those that it was begun with."""
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds

    def _new_batch(self) -> Batch:
        self._counted = 0
        return Batch(self.name, max_rows=self._max_rows, max_bytes=self._max_bytes)

    def count_in_flight(self) -> int:
        """Frames received that are not in the spool yet."""
        waiting = len(self.batch) + sum(map(len, self._sealed))
        # The spool has it in its books as soon as the future is done; our callback runs a turn of the loop later.
        if self._submitted is None or is_kept(self._durable):
            return waiting
        return waiting + len(self._submitted)

    def added(self, received_bytes: int) -> None:
        """Take note of the frames appended to :attr:`batch` since the last call; seal it when it is full.

        Args:
            received_bytes: how many bytes were read for them.
        """
        self._received_bytes.inc(received_bytes)
        batch = self.batch
        new = len(batch) - self._counted
        if new:
            self._received_frames.inc(new)
            self._count_marks(batch.flags, self._counted)
            self._counted = len(batch)
            self._idle.clear()
        if batch.full or len(batch.peers) >= _MAX_PEERS:
            self.seal()
        else:
            self._start_timer()

    def _start_timer(self) -> None:
        """Seal the open batch when it is old enough; while others wait for the spool it grows instead."""
        if self._timer is None and self._submitted is None and not self._sealed and len(self.batch):
            self._timer = self._loop.call_later(self._max_age_seconds, self.seal)

    def _count_marks(self, flags: bytearray, start: int) -> None:
        """Count the marked frames from ``start`` on: three searches, not a look at each."""
        both = flags.count(TRUNCATED | PARTIAL, start)
        truncated, partial = flags.count(TRUNCATED, start) + both, flags.count(PARTIAL, start) + both
        if truncated:
            self._metrics.truncated_frames.labels(self.name).inc(truncated)
        if partial:
            self._metrics.partial_frames.labels(self.name).inc(partial)

    def seal(self) -> None:
        """Close the open batch and send it on its way to the spool."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self.batch):
            self._sealed.append(self.batch)
        self.batch = self._new_batch()
        self._submit_next()
        if len(self._sealed) > _MAX_SEALED and self._drop_when_full:
            batch = self._sealed.pop()
            self._drop(batch, "spool_full")
            self._losses.add(len(batch))
        self._update_congestion()

    def _submit_next(self) -> None:
        if self._submitted is not None or self._retry is not None:
            return
        if not self._sealed:
            if not len(self.batch):
                self._idle.set()
            return
        durable = self._append(self._sealed[0])
        if durable is None:
            self._retry = self._loop.call_later(_RETRY_SECONDS, self.room)
            return
        self._submitted, self._durable = self._sealed.popleft(), durable
        durable.add_done_callback(self._on_durable)
        faults.hit("recv.enqueued")

    def room(self) -> None:
        """Try again now: the spool has room."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._submit_next()
        self._update_congestion()

    def _on_durable(self, durable: asyncio.Future[int]) -> None:
        batch, self._submitted, self._durable = self._submitted, None, None
        if batch is not None and not is_kept(durable):
            self._take_back(batch)
        else:
            self._losses.add(0)
            self._submit_next()
            self._start_timer()
        self._update_congestion()

    def _take_back(self, batch: Batch) -> None:
        """Keep what the spool could not; it says so itself, once, in the log."""
        if self._gave_up:
            self._drop(batch, "shutdown")
            return
        self._sealed.appendleft(batch)
        self._retry = self._loop.call_later(_RETRY_SECONDS, self.room)

    def _update_congestion(self) -> None:
        congested = len(self._sealed) >= _MAX_SEALED
        if congested != self.congested:
            self.congested = congested
            self._metrics.paused.labels(self.name).set(congested)
            self.on_congestion(congested)

    def _drop(self, batch: Batch, reason: str) -> None:
        self._metrics.dropped_frames.labels(self.name, reason).inc(len(batch))

    async def flush(self, timeout_seconds: float) -> int:
        """Bring everything gathered into the spool; called after the input stopped reading.

        Args:
            timeout_seconds: how long to wait for the spool.

        Returns:
            How many frames had to be given up (they are counted as dropped, reason ``shutdown``).
        """
        self.seal()
        self.room()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            return self._give_up()
        return 0

    def _give_up(self) -> int:
        """Count what the spool did not take as lost; what it is working on is its own to finish."""
        self._gave_up = True
        given_up = 0
        for batch in self._sealed:
            given_up += len(batch)
            self._drop(batch, "shutdown")
        self._sealed.clear()
        if self._retry is not None:
            self._retry.cancel()
        return given_up


def is_kept(durable: asyncio.Future[int] | None) -> bool:
    """Whether the spool has made a batch durable."""
    return durable is not None and durable.done() and not durable.cancelled() and durable.exception() is None
