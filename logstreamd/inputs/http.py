"""Batches of logs over HTTP: an answer means that they are durable.

A request becomes one batch, or a few when it is large, and is answered when the spool has made all of them durable. The
sender of a request that failed sends it again; with an ``Idempotency-Key`` that never stores a log twice, whatever
happened to the answer or to the daemon in between: key and body together name the request, the name travels with its
batches, and PostgreSQL accepts it once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from logstreamd.inputs.gather import Append, is_kept
from logstreamd.metrics import Metrics
from logstreamd.spool import SpoolError
from logstreamd.wire.batch import Batch
from logstreamd.wire.implementation import read_body
from logstreamd.wire.inflate import inflate
from logstreamd.wire.ingest_body import Body

__all__ = ["Accepted", "BusyError", "HttpInput", "HttpLimits", "KeyReusedError", "NoRoomError"]

_MAX_KEYS = 10_000  # answers remembered: 100 bytes each
_INLINE_BYTES = 64 * 1024  # smaller bodies are read at once; a thread costs more than they do
# Bodies being read at the same time, compressed or not, as a multiple of the largest one allowed.
_BUDGET_BODIES = 2


class BusyError(Exception):
    """More is being read already than memory is set aside for."""


class NoRoomError(Exception):
    """The spool can't keep it now; nothing of it was accepted."""


class KeyReusedError(Exception):
    """The idempotency key came before with another body."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request.

    Attributes:
        accepted: logs that are durable now.
        rejected: line number and reason of what is not a log.
        repeated: this answer was given before; nothing was stored again.
    """

    accepted: int
    rejected: tuple[tuple[int, str], ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The bounds of one request.

    Attributes:
        max_rows: frames per batch.
        max_bytes: bytes of frames per batch.
        max_body_bytes: the most a body may be once decompressed.
        max_lines: logs per request.
    """

    max_rows: int
    max_bytes: int
    max_body_bytes: int
    max_lines: int


class HttpInput:
    """Takes the bodies of batch requests.

    Args:
        name: the input's name.
        append: the spool.
        limits: of requests that begin from now on; may be replaced at any time.
    """

    def __init__(self, name: str, append: Append, metrics: Metrics, limits: HttpLimits) -> None:
        self.name = name
        self.limits = limits
        self._append = append
        self._metrics = metrics
        self._reading_bytes = 0
        self._in_flight: dict[asyncio.Future[int], int] = {}
        self._answers: OrderedDict[str, tuple[bytes, Accepted]] = OrderedDict()

    def count_in_flight(self) -> int:
        """Frames accepted that are not in the spool yet."""
        # The spool has a batch in its books as soon as its future is done; ours are settled a turn of the loop later.
        return sum(frames for durable, frames in self._in_flight.items() if not is_kept(durable))

    async def accept(self, body: bytes | bytearray, *, encoding: str, peer: str, key: str | None) -> Accepted:
        """Make the logs of one request durable.

        Args:
            body: as it came.
            encoding: its ``Content-Encoding``.
            peer: the sender's address.
            key: the request's ``Idempotency-Key``.

        Raises:
            InflateError, TooLargeError, BodyError, TooManyLinesError: the body can't be read.
            BusyError: come back later.
            NoRoomError: the same; the spool is full or its disk fails.
            KeyReusedError: the key belongs to another body.
        """
        limits = self.limits
        if key is None:
            return await self._take(body, encoding, peer, None, limits)
        digest = await self._digest(body)
        if (known := self._answers.get(key)) is not None:
            if known[0] != digest:
                raise KeyReusedError("this Idempotency-Key came before with another body")
            return Accepted(known[1].accepted, known[1].rejected, repeated=True)
        answer = await self._take(body, encoding, peer, _name(key, digest, limits), limits)
        self._remember(key, digest, answer)
        return answer

    async def _digest(self, body: bytes | bytearray) -> bytes:
        """Hash a body, off the event loop when it takes long."""
        if len(body) <= _INLINE_BYTES:
            return hashlib.sha256(body).digest()
        return (await asyncio.to_thread(hashlib.sha256, body)).digest()

    async def _take(
        self, body: bytes | bytearray, encoding: str, peer: str, name: UUID | None, limits: HttpLimits
    ) -> Accepted:
        """Make the logs of a body durable, under the name of the request when it has one."""
        read = await self._read(body, encoding, peer, limits)
        if name is not None:
            for part, batch in enumerate(read.batches):
                batch.request = (name, part)
        if read.batches:
            await self._make_durable(read.batches)
        return Accepted(read.accepted, tuple(read.rejected))

    async def _read(self, body: bytes | bytearray, encoding: str, peer: str, limits: HttpLimits) -> Body:
        """Decompress and take apart, off the event loop when it takes long."""
        # What a compressed body becomes is known when it is too late; so it is counted as the largest it may be.
        budget = len(body) if encoding == "identity" else limits.max_body_bytes
        if self._reading_bytes and self._reading_bytes + budget > _BUDGET_BODIES * limits.max_body_bytes:
            raise BusyError("as many bodies are being read as memory is set aside for")
        self._reading_bytes += budget
        if encoding == "identity" and len(body) <= _INLINE_BYTES:
            try:
                return self._take_apart(body, encoding, peer, limits)
            finally:
                self._reading_bytes -= budget
        reading = asyncio.get_running_loop().run_in_executor(None, self._take_apart, body, encoding, peer, limits)
        reading.add_done_callback(lambda _: self._read_done(budget))
        # A client that goes away does not stop the thread; until that ends its memory is in use.
        return await asyncio.shield(reading)

    def _read_done(self, budget: int) -> None:
        self._reading_bytes -= budget

    def _take_apart(self, body: bytes | bytearray, encoding: str, peer: str, limits: HttpLimits) -> Body:
        def new_batch() -> Batch:
            batch = Batch(self.name, max_rows=limits.max_rows, max_bytes=limits.max_bytes)
            batch.peer_id(peer)
            return batch

        inflated = inflate(body, encoding, max_bytes=limits.max_body_bytes)
        received_at = time.time_ns() // 1_000
        return read_body(inflated, new_batch, received_at=received_at, max_lines=limits.max_lines)

    async def _make_durable(self, batches: list[Batch]) -> None:
        futures = []
        for batch in batches:
            future = self._append(batch)
            if future is None:
                break
            self._took(batch, future)
            futures.append(future)
        # Whatever was appended is waited for: what is durable must not be forgotten while it is being refused. A client
        # that goes away cancels the waiting, not the futures: the spool keeps what it has.
        if futures:
            await asyncio.wait(futures)
        for future in futures:
            if isinstance(problem := future.exception(), SpoolError):
                raise NoRoomError(f"the spool can't keep it: {problem}") from problem
            future.result()
        if len(futures) < len(batches):
            raise NoRoomError("the spool is full")

    def _took(self, batch: Batch, durable: asyncio.Future[int]) -> None:
        """Enter a batch into the ledger: received now, and in flight until it is durable."""
        frames = len(batch)
        self._metrics.received_frames.labels(self.name).inc(frames)
        self._metrics.received_bytes.labels(self.name).inc(len(batch.data))
        self._in_flight[durable] = frames

        def settle(future: asyncio.Future[int]) -> None:
            del self._in_flight[future]
            if not is_kept(future):
                self._metrics.dropped_frames.labels(self.name, "refused").inc(frames)

        durable.add_done_callback(settle)

    def _remember(self, key: str, digest: bytes, answer: Accepted) -> None:
        self._answers[key] = (digest, answer)
        if len(self._answers) > _MAX_KEYS:
            self._answers.popitem(last=False)


def _name(key: str, digest: bytes, limits: HttpLimits) -> UUID:
    """Name a request: the same request always in the same way."""
    # With other limits its parts are other ones: their marks must not be taken for each other's.
    cut = f"\0{limits.max_rows}\0{limits.max_bytes}\0".encode()
    return UUID(bytes=hashlib.sha256(key.encode() + cut + digest).digest()[:16])
