"""The spool → PostgreSQL: takes batches in order, stores each exactly once, and acknowledges them.

Several workers, each with a connection of its own, take batches in the spool's order and commit independently; a batch
keeps the number it was given when it was first taken, so that the ids of its rows follow the order of arrival however
often it has to be tried.

Trouble with the database is never the end of a batch: the attempt is repeated with growing, jittered pauses, and a
circuit breaker that all workers share keeps them from knocking on a door that stays shut. Rows that PostgreSQL refuses
are sorted out inside the attempt (:mod:`logstreamd.storage.store`). Anything else that goes wrong is a bug, ends the
worker and with it the daemon, and the spool keeps the batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from logstreamd import tracing
from logstreamd.metrics import Metrics
from logstreamd.spool import Spooled
from logstreamd.storage.session import Session, retry
from logstreamd.storage.store import Stored, store_batch
from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import Encoded
from logstreamd.wire.file_rows import encode_batch_rows
from logstreamd.wire.policy import Policy

__all__ = ["StoreWatcher", "Writer"]

_log = structlog.get_logger(__name__)

ROWS_PER_NUMBER = 65_536
"""A row's id is its batch's number times this, plus its position."""

_CLAIM_NUMBERS = 64  # batch numbers fetched at once: one round trip for 64 batches
# Then they are given up: ids of several receivers follow arrival, and no batch comes to lie among those of long ago.
_KEEP_NUMBERS_SECONDS = 1.0


class SpoolReader(Protocol):
    """The spool, as the writer sees it."""

    @property
    def id(self) -> UUID:
        """Whose batches they are."""

    async def take(self) -> Spooled:
        """Return the next batch in order."""

    def take_nowait(self) -> Spooled | None:
        """Return the next batch, if one is waiting."""

    def assign(self, seq: int, number: int) -> None:
        """Remember the number a batch was given."""

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Forget stored batches."""

    def frames_by_input(self) -> dict[str, int]:
        """Return how many frames wait."""


class StoreWatcher(Protocol):
    """Somebody who wants to know what is stored."""

    def storing(self, encoded: Encoded) -> None:
        """A batch is about to be stored."""

    def stored(self) -> None:
        """A batch is stored."""


@dataclass(frozen=True, slots=True)
class _EncodedBatch:
    """A batch that is encoded; its spans are made when it is stored, which may be in another task."""

    spooled: Spooled
    number: int
    encoded: Encoded
    started_ns: int
    encoded_ns: int

    @property
    def attributes(self) -> dict[str, str | int | float]:
        """What its span says."""
        batch = self.spooled.batch
        return {
            "logstreamd.input": batch.input,
            "logstreamd.rows": len(batch),
            "logstreamd.bytes": len(batch.data),
            "logstreamd.age_seconds": self.started_ns / 1e9 - batch.received_at[0] / 1e6,
            "logstreamd.batch": self.number,
            "logstreamd.spool_seq": self.spooled.seq,
        }


class Writer:
    """Stores what the spool holds.

    Args:
        spool: where the batches come from.
        sessions: one database session per worker.
        ready: returns once the schema is there; until then the database is left alone.
        prepare: makes the database ready for rows of these times (microseconds since the epoch): partitions.
        policy_of: time zone and window of an input, by its name.
        metrics: counted per batch.
        watcher: told of every batch.
    """

    def __init__(
        self,
        spool: SpoolReader,
        sessions: list[Session],
        ready: Callable[[], Awaitable[object]],
        prepare: Callable[[Session, int, int], Awaitable[None]],
        policy_of: Callable[[str], Policy],
        metrics: Metrics,
        watcher: StoreWatcher | None = None,
    ) -> None:
        self._spool = spool
        self._sessions = sessions
        self._ready = ready
        self._prepare = prepare
        self._policy_of = policy_of
        self._metrics = metrics
        self._watcher = watcher
        self._numbers: list[int] = []
        self._claimed_at = 0.0
        self._taking = asyncio.Lock()
        self._acknowledged = asyncio.Event()
        self._encoders = ThreadPoolExecutor(len(sessions), thread_name_prefix="encode")

    def workers(self) -> list[Coroutine[Any, Any, None]]:
        """Return one endless coroutine per session, for the daemon to run and watch."""
        return [self._work(session) for session in self._sessions]

    async def drained(self) -> None:
        """Wait until the spool is empty; called while the workers run and nothing is appended any more."""
        while any(self._spool.frames_by_input().values()):
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def close(self) -> None:
        """Close the sessions; the workers have ended."""
        for session in self._sessions:
            await session.close()
        self._encoders.shutdown(wait=False)

    async def _work(self, session: Session) -> None:
        # Failing for want of a table would open the breaker in front of the migration that makes it.
        await self._ready()
        current = await self._next(session)
        while True:
            following = self._try_encode_ahead()
            try:
                await self._store_in_context(session, current)
                current = await (following or self._next(session))
            finally:
                if following is not None:
                    following.cancel()

    async def _next(self, session: Session) -> _EncodedBatch:
        """Wait for the next batch and encode it."""
        spooled, number = await self._take(session)
        return await self._encode(spooled, number)

    def _try_encode_ahead(self) -> asyncio.Task[_EncodedBatch] | None:
        """Begin to encode the next batch while another is being stored, so that PostgreSQL need not wait for it.

        Not when another worker, with nothing else to do, waits for the same batch; nor when batch numbers are used up:
        they come over the connection that is busy storing.
        """
        if self._taking.locked() or not self._numbers:
            return None
        spooled = self._spool.take_nowait()
        if spooled is None:
            return None
        number = self._numbers.pop() if spooled.number is None else spooled.number
        self._spool.assign(spooled.seq, number)
        return asyncio.create_task(self._encode(spooled, number), name="encode ahead")

    async def _store_in_context(self, session: Session, current: _EncodedBatch) -> None:
        """Store a batch; lines of the log that it causes say which one it is, and its span lasts to its end."""
        spooled = current.spooled
        with (
            bound_contextvars(batch=current.number, input=spooled.batch.input, spool_seq=spooled.seq),
            tracing.span("batch", attributes=current.attributes, started_ns=current.started_ns),
        ):
            tracing.record("encode", started_ns=current.started_ns, ended_ns=current.encoded_ns)
            await self._store_batch(session, spooled, current.encoded)

    async def _store_batch(self, session: Session, spooled: Spooled, encoded: Encoded) -> None:
        if self._watcher is not None:
            self._watcher.storing(encoded)
        stored = await retry(lambda: self._store(session, spooled, encoded))
        if self._watcher is not None:
            self._watcher.stored()
        self._spool.acknowledge([spooled.seq])
        self._count(spooled.batch, stored)
        self._acknowledged.set()

    async def _take(self, session: Session) -> tuple[Spooled, int]:
        """Take the next batch and its number; one worker at a time, so that numbers follow the spool's order."""
        async with self._taking:
            spooled = await self._spool.take()
            number = spooled.number
            if number is None:
                number = await self._next_number(session)
                self._spool.assign(spooled.seq, number)
            return spooled, number

    async def _next_number(self, session: Session) -> int:
        if not self._numbers or time.monotonic() - self._claimed_at > _KEEP_NUMBERS_SECONDS:
            numbers = await retry(lambda: session.claim_batch_numbers(_CLAIM_NUMBERS))
            self._claimed_at = time.monotonic()
            self._numbers = sorted(numbers, reverse=True)
        return self._numbers.pop()

    async def _encode(self, spooled: Spooled, number: int) -> _EncodedBatch:
        batch = spooled.batch
        started, started_ns = time.perf_counter(), time.time_ns()
        encoded = await asyncio.get_running_loop().run_in_executor(
            self._encoders, encode_batch_rows, batch, number * ROWS_PER_NUMBER, self._policy_of(batch.input)
        )
        self._metrics.encode_seconds.observe(time.perf_counter() - started)
        return _EncodedBatch(spooled, number, encoded, started_ns, time.time_ns())

    async def _store(self, session: Session, spooled: Spooled, encoded: Encoded) -> Stored:
        await self._prepare(session, encoded.ts_min, encoded.ts_max)
        started = time.perf_counter()
        stored = await session.run(
            lambda connection: store_batch(connection, spooled.batch, encoded, spool_id=self._spool.id, seq=spooled.seq)
        )
        self._metrics.store_seconds.observe(time.perf_counter() - started)
        return stored

    def _count(self, batch: Batch, stored: Stored) -> None:
        metrics = self._metrics
        metrics.stored_rows.labels(batch.input).inc(stored.rows)
        if stored.duplicate:
            metrics.dropped_frames.labels(batch.input, "duplicate").inc(stored.duplicate)
        if stored.quarantined:
            metrics.quarantined_rows.labels(batch.input).inc(stored.quarantined)
            _log.warning(
                "rows refused by PostgreSQL are in the table quarantine", input=batch.input, rows=stored.quarantined
            )
        if stored.repeated:
            metrics.repeated_batches.inc()
        else:
            metrics.stored_batches.inc()
            metrics.batch_rows.observe(len(batch))
        metrics.store_lag_seconds.observe(max(0.0, time.time() - batch.received_at[-1] / 1_000_000))
