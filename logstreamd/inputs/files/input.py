"""The input of type ``file``: what the collector reads becomes batches, and positions travel in them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from logstreamd.inputs.files.collector import Collector, Turn
from logstreamd.inputs.files.followed import FollowedFile, Reading
from logstreamd.inputs.files.mirror import STATISTICS_SECONDS, Mirror
from logstreamd.inputs.files.wakeup import wake_on_events
from logstreamd.inputs.gather import Gatherer
from logstreamd.metrics import Metrics
from logstreamd.wire.batch import Batch, FileKey, FilePosition
from logstreamd.wire.policy import Policy

__all__ = ["FileInput"]

_T = TypeVar("_T")

_RESTLESS_SECONDS = 0.1  # between two turns while something changes: what a person takes for at once
_MIN_LOOK_SECONDS = 0.25  # between two looks that file events asked for; a look at 1,000 files takes 5 ms
_MAX_SHOWN_FILES = 100  # in /status: those that are behind most


class FileInput:
    """Follows files.

    Args:
        gatherer: where the records go.
        metrics: counted per turn.
        collector: reads the files, on a thread of this input.
        patterns: what it follows, for people.
        directories: where file events are waited for.
        poll_interval_seconds: between two looks at the directories.
        note: makes durable from where files are read that are new.
        forget: told which files' positions may be forgotten.
        mirror: gets a copy, if there is one.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        metrics: Metrics,
        collector: Collector,
        *,
        patterns: Iterable[str],
        directories: Iterable[str],
        poll_interval_seconds: float,
        note: Callable[[str, Mapping[FileKey, FilePosition]], asyncio.Future[None]],
        forget: Callable[[str, list[FileKey]], None],
        mirror: Mirror | None = None,
    ) -> None:
        self.name = gatherer.name
        self.gatherer = gatherer
        self._metrics = metrics
        self._collector = collector
        self._directories = tuple(directories)
        self._poll_interval_seconds = poll_interval_seconds
        self._note = note
        self._forget = forget
        self._mirror = mirror
        self.endpoints = list(patterns)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"files {self.name}")
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._running = False
        self._room = asyncio.Event()
        self._room.set()
        self._moved: dict[FileKey, FilePosition] = {}
        self._next_look = self._next_statistics = 0.0
        self._looked_at = -_MIN_LOOK_SECONDS
        self._counted: dict[str, int] = {}
        gatherer.on_congestion = self._on_congestion

    @property
    def congested(self) -> bool:
        """Whether it waits for the spool."""
        return self.gatherer.congested

    async def start(self) -> None:
        """Open its metrics; :meth:`run` begins to read."""
        self._metrics.watch_files(
            self.name,
            followed=lambda: len(self._collector.files()),
            lag_bytes=lambda: sum(file.lag_bytes for file in self._collector.files()),
            opened=lambda: self._collector.open_count,
        )

    def apply(self, policy: Policy) -> None:
        """Read times by other rules; everything else that can be configured takes an input of its own."""
        if self._mirror is not None:
            self._mirror.policy = policy

    async def run(self) -> None:
        """Read until :meth:`stop`, then wait to be cancelled."""
        events = asyncio.create_task(wake_on_events(self._directories, self._wake), name=f"file events {self.name}")
        self._running = True
        try:
            while not self._stopping:
                await self._round()
        finally:
            events.cancel()
            self._stopped.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Read nothing more; what is in no batch is read again by the next run."""
        self._stopping = True
        self._wake.set()
        self._room.set()
        if self._running:
            await self._stopped.wait()
        if self._mirror is not None:
            await self._call(self._mirror.write_statistics, self.statistics())
        await self._call(self._collector.close)
        self._thread.shutdown()

    async def _round(self) -> None:
        now = time.monotonic()
        woken = self._wake.is_set() and now - self._looked_at >= _MIN_LOOK_SECONDS
        if now >= self._next_look or woken:
            await self._look(now)
        if self.congested and not self._stopping:
            await self._wait(self._room)
            return
        turn = await self._call(self._collector.turn, time.monotonic())
        read_at = time.time_ns() // 1_000
        self._take(turn, read_at)
        self._count()
        if self._mirror is not None and turn.readings:
            await self._call(self._mirror.write, turn.readings, read_at)
        if not turn.more and not self._stopping:
            await self._wait(self._wake)

    async def _look(self, now: float) -> None:
        self._wake.clear()
        self._looked_at = now
        forgotten = await self._call(self._collector.look, now)
        if forgotten:
            self._forget(self.name, forgotten)
        if begun := self._collector.take_begun():
            await self._make_known(begun)
        self._next_look = time.monotonic() + self._poll_interval_seconds
        if self._mirror is not None and now >= self._next_statistics:
            self._next_statistics = now + STATISTICS_SECONDS
            await self._call(self._mirror.write_statistics, self.statistics())

    async def _make_known(self, begun: Mapping[FileKey, FilePosition]) -> None:
        """See that a run that ends before its first batch is durable is not the first one to the next.

        That one would take what was rotated meanwhile for a past that nobody asked for.
        """
        noted = self._note(self.name, begun)
        while not noted.done() and not self._stopping:  # a disk that fails may take its time
            await asyncio.wait({noted}, timeout=_RESTLESS_SECONDS)

    async def _wait(self, event: asyncio.Event) -> None:
        """Wait for something to happen, or until it is time to look or to read on."""
        now = time.monotonic()
        seconds = max(0.0, self._next_look - now)
        if event is self._wake and self._collector.is_restless(now):
            seconds = min(seconds, _RESTLESS_SECONDS)
            await asyncio.sleep(seconds)  # an event would only make it look at what it looks at anyway
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        if event is self._wake and event.is_set():
            await asyncio.sleep(max(0.0, _MIN_LOOK_SECONDS - (time.monotonic() - self._looked_at)))

    def _on_congestion(self, congested: bool) -> None:
        if congested:
            self._room.clear()
        else:
            self._room.set()

    def _take(self, turn: Turn, read_at: int) -> None:
        """Put the records of a turn into batches, and with them how far the files are read."""
        self._moved.update(turn.moved)
        for reading in turn.readings:
            self._gather(reading, read_at)

    def _gather(self, reading: Reading, read_at: int) -> None:
        gatherer, key = self.gatherer, reading.file.key
        batch = self._open_batch()
        nbytes = 0
        for record in reading.records:
            batch.append(record.frame, read_at, batch.peer_id(reading.position.path), record.flags)
            nbytes += len(record.frame)
            if batch.full and batch.positions is not None:
                batch.positions[key] = reading.position_after(record)
                gatherer.added(nbytes)
                nbytes = 0
                batch = self._open_batch()
        if len(batch) and batch.positions is not None:
            batch.positions[key] = reading.position
        else:
            self._moved[key] = reading.position
        gatherer.added(nbytes)

    def _open_batch(self) -> Batch:
        """Return the open batch; what moved without a record goes with the first one of it."""
        batch = self.gatherer.batch
        if batch.positions is None:
            batch.positions = {}
        batch.positions.update(self._moved)
        self._moved.clear()
        return batch

    def _count(self) -> None:
        """Bring the metrics up to what the collector has counted."""
        collector = self._collector
        for kind, count in collector.rotations.items():
            self._metrics.file_rotations.labels(self.name, kind).inc(self._since(kind, count))
        self._metrics.file_errors.labels(self.name).inc(self._since("errors", collector.errors))
        self._metrics.file_lost_bytes.labels(self.name).inc(self._since("lost", collector.lost_bytes))
        self._metrics.file_lines.labels(self.name).inc(self._since("lines", collector.lines))

    def _since(self, name: str, count: int) -> int:
        new = count - self._counted.get(name, 0)
        self._counted[name] = count
        return new

    def statistics(self) -> dict[str, Any]:
        """Return what is known of every file, those that are behind most first."""
        files = sorted(self._collector.files(), key=lambda file: (-file.lag_bytes, file.path))
        return {
            "followed": len(files),
            "open": self._collector.open_count,
            "lag_bytes": sum(file.lag_bytes for file in files),
            "lines": self._collector.lines,
            "rotations": dict(self._collector.rotations),
            "lost_bytes": self._collector.lost_bytes,
            "problems": dict(list(self._collector.problems.items())[:_MAX_SHOWN_FILES]),
            "files": [_describe(file) for file in files[:_MAX_SHOWN_FILES]],
            "not_shown": max(0, len(files) - _MAX_SHOWN_FILES),
        }

    async def _call(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Run something on the input's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _describe(file: FollowedFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "source": file.source,
        "position": file.position.offset,
        "size": file.size,
        "lag_bytes": file.lag_bytes,
        "lines": file.lines,
        "records": file.records,
        "rotations": file.rotations,
        "last_error": file.error,
    }
