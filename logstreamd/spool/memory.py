"""The spool for ``spool.sync: memory``: the same queue without a disk. What it holds dies with the
process.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping

from logstreamd.spool.books import Books, Entry
from logstreamd.spool.interface import CorruptionReport, Spooled, SpoolStats
from logstreamd.spool.room import Room
from logstreamd.spool.window import Window
from logstreamd.wire.batch import Batch, FileKey, FilePosition

__all__ = ["MemorySpool"]


class MemorySpool:
    """Batches in memory until they are stored; see :class:`~logstreamd.spool.interface.Spool` for its
    methods.

    Args:
        window_bytes: what all batches together may take, those being stored included.
        clock: seconds since the epoch.
    """

    def __init__(self, *, window_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self.id = uuid.uuid4()
        self.recovered_by_input: dict[str, int] = {}
        self._max_bytes = window_bytes
        self._clock = clock
        self._window = Window(window_bytes)
        self._room = Room()
        self._books = Books()
        self._next_seq = 1

    @property
    def has_room(self) -> bool:
        """Whether inputs should go on."""
        return self._room.is_open

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Give out nothing more; what is left is lost, and counted by :meth:`frames_by_input`."""
        self._window.close("the spool is closed")

    def append(self, batch: Batch) -> asyncio.Future[int] | None:
        """Hand over a sealed batch; the future is done at once."""
        if self._books.batches and self._books.used_bytes + batch.nbytes > self._max_bytes:
            self._room.update(1.0)  # whoever is refused is told when to come again, wherever the marks are
            return None
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        self._books.add(_entry(batch))
        self._window.push(Spooled(seq, batch, int(self._clock() * 1_000_000)))
        self._update_room()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(seq)
        return done

    def on_room(self, callback: Callable[[bool], None]) -> None:
        """Have ``callback`` called when room is lost or back."""
        self._room.subscribe(callback)

    def on_corruption(self, callback: Callable[[CorruptionReport], None]) -> None:
        """Accept ``callback``, which is never called: there is nothing to read back."""

    async def take(self) -> Spooled:
        """Wait for the next batch."""
        await self._window.wait()
        return self._window.take_nowait()

    def take_nowait(self) -> Spooled | None:
        """Return the next batch, if there is one."""
        return self._window.take_nowait() if len(self._window) else None

    def assign(self, seq: int, number: int) -> None:
        """Remember the number of a taken batch."""
        spooled = self._window.taken(seq)
        if spooled is not None:
            spooled.number = number

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Forget taken batches."""
        for spooled in self._window.acknowledge(seqs):
            self._books.acknowledge(spooled.seq, _entry(spooled.batch))
            self._books.delete((spooled.seq,))
        self._update_room()

    def positions(self, name: str) -> dict[FileKey, FilePosition]:
        """No position outlives the process: the configuration allows no file input with this spool."""
        return {}

    def note_positions(self, name: str, positions: Mapping[FileKey, FilePosition]) -> asyncio.Future[None]:
        """Nothing to remember."""
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        noted.set_result(None)
        return noted

    def forget_positions(self, name: str, keys: Iterable[FileKey]) -> None:
        """Nothing to forget."""

    def frames_by_input(self) -> dict[str, int]:
        """Frames held and not acknowledged."""
        return self._books.frames_by_input()

    async def ping(self) -> None:
        """Nobody else has to answer."""

    def stats(self) -> SpoolStats:
        """The state of the spool now."""
        oldest = self._window.oldest
        return SpoolStats(
            sync="memory",
            batches=self._books.batches,
            frames=self._books.frames.total(),
            bytes=self._books.used_bytes,
            max_bytes=self._max_bytes,
            waiting_batches=0,
            waiting_bytes=0,
            window_batches=len(self._window),
            window_bytes=self._window.nbytes,
            file_bytes=0,
            oldest_age_seconds=max(0.0, self._clock() - oldest.appended_at / 1e6) if oldest else 0.0,
            corrupt_batches=0,
            corrupt_frames_by_input={},
            corrupt_files=0,
            full=not self.has_room,
            last_error=None,
        )

    def _update_room(self) -> None:
        self._room.update(self._books.used_bytes / self._max_bytes)


def _entry(batch: Batch) -> Entry:
    return Entry(batch.input, len(batch), batch.nbytes)
