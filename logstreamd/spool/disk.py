"""The durable spool: the event loop's side of a directory that one owner thread writes.

Durable batches go straight into the window while it has room; what does not fit is left on disk and read
back, in order, when the window is half empty. The books (frames by input, bytes of the disk) are kept here,
by the events.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from logstreamd.spool.books import Books, Entry
from logstreamd.spool.database import SpoolDatabase
from logstreamd.spool.directory import SpoolDirectory
from logstreamd.spool.futures import Answers, refused, settle
from logstreamd.spool.interface import CorruptionReport, Spooled, SpoolError, SpoolStats
from logstreamd.spool.limits import DiskLimits, disk_cost
from logstreamd.spool.messages import (
    Acknowledge,
    Append,
    Assign,
    Broken,
    Command,
    Committed,
    Corruption,
    Event,
    Forget,
    Note,
    Noted,
    Opened,
    Ping,
    Pong,
    Read,
    ReadBack,
    Ready,
    Recount,
    Recounted,
    Salvaged,
    Stop,
    Stopped,
)
from logstreamd.spool.owner import Owner
from logstreamd.spool.positions import Positions, positions_of_batch
from logstreamd.spool.room import Room
from logstreamd.spool.window import Window
from logstreamd.wire.batch import Batch, FileKey, FilePosition
from logstreamd.wire.batch_codec import encoded_bytes

__all__ = ["DiskSpool"]

# While it is read, it is in memory twice, as bytes and as batches; four full batches keep two writers busy meanwhile.
_READ_BYTES = 8 << 20


class DiskSpool:
    """A spool in a directory of its own; see :class:`~logstreamd.spool.interface.Spool` for its methods.

    Args:
        directory: where it lives; made private, used by one process at a time.
        max_bytes: what its files may take on disk together, set-aside corrupt files not counted.
        window_bytes: batches kept in memory for the writer; as much again may be waiting for the disk.
        sync: ``batch`` fsyncs before an append is done, so that it survives a power cut. ``interval`` is done
            once the batch is written to the file, which survives ``kill -9`` and an out-of-memory kill; a
            power cut loses what was appended in the last ``interval_seconds``.
        interval_seconds: the longest time between a commit and its fsync with ``sync="interval"``.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        directory: Path,
        max_bytes: int,
        window_bytes: int,
        sync: str = "batch",
        interval_seconds: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if sync not in ("batch", "interval"):
            raise ValueError(f"sync must be batch or interval (got {sync!r})")
        self._directory = SpoolDirectory(directory)
        self._sync = sync
        self._sync_seconds = interval_seconds if sync == "interval" else 0.0
        self._clock = clock
        limits = self._limits = DiskLimits.of(max_bytes)
        self._database = SpoolDatabase(self._directory.database, max_pages=limits.pages, wal_bytes=limits.log_bytes)
        self._window = Window(window_bytes)
        self._room = Room()
        self._books = Books()
        self._id: uuid.UUID | None = None
        self._next_seq = 1
        self._durable_seq = 0
        self._windowed_seq = 0
        self._reading = False
        self._waiting: dict[int, _Waiting] = {}
        self._waiting_bytes = 0
        self._waiting_cost = 0
        self._recovered: dict[str, int] = {}
        self._positions: Positions = {}
        self._corruption_callbacks: list[Callable[[CorruptionReport], None]] = []
        self._salvaged: CorruptionReport | None = None
        self._error: str | None = None
        self._owner: Owner | None = None
        self._opened: asyncio.Future[None] | None = None
        self._answers = Answers()
        self._stopped = asyncio.Event()

    @property
    def id(self) -> uuid.UUID:
        """The spool's id, known once it is open."""
        if self._id is None:
            raise SpoolError("the spool is not open")
        return self._id

    @property
    def has_room(self) -> bool:
        """Whether inputs should go on."""
        return self._room.is_open and self._id is not None

    @property
    def recovered_by_input(self) -> dict[str, int]:
        """Frames found at open."""
        return dict(self._recovered)

    async def open(self) -> None:
        """Start the owner thread and wait until it has the spool open."""
        loop = asyncio.get_running_loop()
        self._opened = loop.create_future()

        def emit(event: Event) -> None:
            loop.call_soon_threadsafe(self._on_event, event)

        self._owner = Owner(
            self._directory,
            self._database,
            group_bytes=self._limits.group_bytes,
            sync_seconds=self._sync_seconds,
            emit=emit,
        )
        # a daemon thread: a daemon that dies without close() must not hang at exit, its batches are on disk
        threading.Thread(target=self._owner.run, name="spool-owner", daemon=True).start()
        await self._opened

    async def close(self) -> None:
        """Make everything that was appended durable, then let go of the files; without effect when not
        open.
        """
        if self._id is not None:
            self._send(Stop())
            await self._stopped.wait()

    def append(self, batch: Batch) -> asyncio.Future[int] | None:
        """Hand over a sealed batch; None when there is no room."""
        body_bytes = encoded_bytes(batch)
        cost = disk_cost(body_bytes)
        if body_bytes > self._limits.batch_bytes:
            return refused(f"a batch of {body_bytes} bytes, the spool takes up to {self._limits.batch_bytes}")
        if self._id is None or self._error is not None or not self._fits(batch, cost):
            self._room.update(1.0)  # whoever is refused is told when to come again, wherever the marks are
            return None
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        spooled = Spooled(seq, batch, int(self._clock() * 1_000_000))
        durable: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[seq] = _Waiting(spooled, cost, durable)
        self._waiting_bytes += batch.nbytes
        self._waiting_cost += cost
        self._send(Append(seq, spooled.appended_at, batch))
        self._update_room()
        return durable

    def on_room(self, callback: Callable[[bool], None]) -> None:
        """Have ``callback`` called when room is lost or back."""
        self._room.subscribe(callback)

    def on_corruption(self, callback: Callable[[CorruptionReport], None]) -> None:
        """Have ``callback`` called for everything corrupt that is found."""
        self._corruption_callbacks.append(callback)

    async def take(self) -> Spooled:
        """Wait for the next durable batch."""
        await self._window.wait()
        spooled = self._window.take_nowait()
        self._refill()
        return spooled

    def take_nowait(self) -> Spooled | None:
        """Return the next durable batch, if it is in memory."""
        if not len(self._window):
            return None
        spooled = self._window.take_nowait()
        self._refill()
        return spooled

    def assign(self, seq: int, number: int) -> None:
        """Remember the batch number of a taken batch; written soon, survives a kill."""
        spooled = self._window.taken(seq)
        if spooled is not None and spooled.number != number:
            spooled.number = number
            self._send(Assign(seq, number))

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Forget taken batches: they are stored."""
        known = self._window.acknowledge(seqs)
        for spooled in known:
            self._books.acknowledge(spooled.seq, _entry(spooled.batch))
        if known:
            self._send(Acknowledge(tuple(spooled.seq for spooled in known)))

    def positions(self, name: str) -> dict[FileKey, FilePosition]:
        """How far the files of an input were read, as far as that is durable."""
        return {key: position for (one, key), position in self._positions.items() if one == name}

    def note_positions(self, name: str, positions: Mapping[FileKey, FilePosition]) -> asyncio.Future[None]:
        """Remember from where the files of an input are read, before anything of them is."""
        ours = {(name, key): position for key, position in positions.items()}
        self._positions |= ours
        self._send(Note(ours))
        return self._answers.expect_noted()

    def forget_positions(self, name: str, keys: Collection[FileKey]) -> None:
        """Forget how far files were read that are gone."""
        for key in keys:
            self._positions.pop((name, key), None)
        self._send(Forget(tuple((name, key) for key in keys)))

    def frames_by_input(self) -> dict[str, int]:
        """Frames durable and not acknowledged."""
        return self._books.frames_by_input()

    async def ping(self) -> None:
        """Wait for the owner thread to answer; who asks while somebody waits, waits for the same answer."""
        if self._id is None:
            raise SpoolError(self._error or "the spool is not open")
        pong, is_first = self._answers.expect_pong()
        if is_first:
            self._send(Ping())
        await asyncio.shield(pong)

    def stats(self) -> SpoolStats:
        """The state of the spool now."""
        books, oldest = self._books, self._window.oldest
        return SpoolStats(
            sync=self._sync,
            batches=books.batches,
            frames=books.frames.total(),
            bytes=books.used_bytes,
            max_bytes=self._limits.max_bytes,
            waiting_batches=len(self._waiting),
            waiting_bytes=self._waiting_bytes,
            window_batches=len(self._window),
            window_bytes=self._window.nbytes,
            file_bytes=self._directory.file_bytes(),
            oldest_age_seconds=max(0.0, self._clock() - oldest.appended_at / 1e6) if oldest else 0.0,
            corrupt_batches=books.corrupt_batches,
            corrupt_frames_by_input=dict(books.corrupt_frames),
            corrupt_files=books.corrupt_files,
            full=not self.has_room,
            last_error=self._error,
        )

    def _fits(self, batch: Batch, cost: int) -> bool:
        if self._waiting and self._waiting_bytes + batch.nbytes > self._window.max_bytes:
            return False
        return self._books.used_bytes + self._waiting_cost + cost <= self._limits.capacity

    def _update_room(self) -> None:
        used = (self._books.used_bytes + self._waiting_cost) / self._limits.capacity
        waiting = self._waiting_bytes / self._window.max_bytes
        self._room.update(1.0 if self._error is not None else max(used, waiting))

    def _send(self, command: Command) -> None:
        if self._owner is not None:
            self._owner.inbox.put(command)

    def _refill(self) -> None:
        """Read on from the disk when the window is half empty and does not hold everything."""
        behind = self._windowed_seq < self._durable_seq
        if behind and not self._reading and self._window.nbytes <= self._window.max_bytes // 2:
            self._reading = True
            nbytes = min(self._window.room, _READ_BYTES)
            self._send(Read(self._windowed_seq, nbytes, at_least_one=len(self._window) == 0))

    def _on_event(self, event: Event) -> None:
        match event:
            case Committed():
                self._on_committed(event)
            case ReadBack():
                self._on_read_back(event)
            case Broken():
                self._on_broken(event)
            case Ready():
                self._error = None
            case Opened():
                self._on_opened(event)
            case Corruption(report, cost):
                self._books.lose(report, cost)
                self._report(report)
            case Salvaged(report):
                self._on_salvaged(report)
            case Recounted():
                self._on_recounted(event)
            case Noted() | Pong():
                self._answers.on_event(event)
            case Stopped(error):
                self._on_stopped(error)
        self._update_room()

    def _on_opened(self, event: Opened) -> None:
        self._id, self._next_seq, self._durable_seq = event.id, event.next_seq, event.last_seq
        self._books.batches = event.usage.batches
        self._books.frames.update(event.usage.frames_by_input)
        self._books.used_bytes = event.cost
        self._recovered = event.usage.frames_by_input
        self._positions = event.positions
        self._refill()
        settle(self._opened)

    def _on_committed(self, event: Committed) -> None:
        for seq in event.appended:
            waiting = self._stop_waiting(seq)
            self._books.add(_entry(waiting.spooled.batch))
            self._positions |= positions_of_batch(waiting.spooled.batch)
            if self._windowed_seq >= self._durable_seq and self._window.fits(waiting.spooled.batch.nbytes):
                self._window.push(waiting.spooled)
                self._windowed_seq = seq
            self._durable_seq = seq
            if not waiting.durable.done():  # the caller may have been cancelled; the batch is kept all the same
                waiting.durable.set_result(seq)
        self._books.delete(event.deleted)

    def _on_read_back(self, event: ReadBack) -> None:
        self._reading = False
        for spooled in event.batches:
            self._window.push(spooled)
        if event.reached > self._windowed_seq:
            self._windowed_seq = event.reached
            self._refill()
        elif len(self._window) == 0:  # it was empty only after the read was sent
            self._refill()

    def _on_broken(self, event: Broken) -> None:
        self._error = event.error
        for seq in event.appended:
            waiting = self._stop_waiting(seq)
            if not waiting.durable.done():
                waiting.durable.set_exception(SpoolError(f"not spooled: {event.error}"))

    def _on_salvaged(self, report: CorruptionReport) -> None:
        self._books.corrupt_files += 1
        if self._id is None:
            self._books.note_corrupt(report)
            self._report(report)
        else:
            self._salvaged = report
            self._send(Recount(self._window.held()))

    def _on_recounted(self, event: Recounted) -> None:
        batches, frames = self._books.recount(event.usage.batches, event.usage.frames_by_input, event.cost)
        if self._salvaged is not None:
            report = replace(self._salvaged, batches=batches, frames_by_input=frames)
            self._books.note_corrupt(report)
            self._report(report)

    def _on_stopped(self, error: SpoolError | None) -> None:
        reason = "the spool is closed" if error is None else str(error)
        self._id, self._error = None, reason
        self._window.close(reason)
        for seq in tuple(self._waiting):
            waiting = self._stop_waiting(seq)
            if not waiting.durable.done():
                waiting.durable.set_exception(SpoolError(f"not spooled: {reason}"))
        self._stopped.set()
        settle(self._opened, error)
        self._answers.end()

    def _stop_waiting(self, seq: int) -> _Waiting:
        waiting = self._waiting.pop(seq)
        self._waiting_bytes -= waiting.spooled.batch.nbytes
        self._waiting_cost -= waiting.cost
        return waiting

    def _report(self, report: CorruptionReport) -> None:
        for callback in tuple(self._corruption_callbacks):
            callback(report)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A batch on its way to the disk, and who waits for it."""

    spooled: Spooled
    cost: int
    durable: asyncio.Future[int]


def _entry(batch: Batch) -> Entry:
    return Entry(batch.input, len(batch), disk_cost(encoded_bytes(batch)))
