"""Batches and spools for the tests: small, recognisable, and quick to open."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from logstreamd.spool import DiskSpool, Spooled
from logstreamd.spool.interface import CorruptionReport
from logstreamd.wire.batch import Batch

MAX_BYTES = 16 << 20
WINDOW_BYTES = 4 << 20
ROOM_DEADLINE_SECONDS = 20  # never waited for: a spool that does not get there fails the test


def make_batch(name: str, frames: int = 3, frame_bytes: int = 40, source: str = "tcp") -> Batch:
    """A batch whose frames say which batch they belong to, followed by noise that depends on nothing else."""
    batch = Batch(source)
    noise = random.Random(name)
    for position in range(frames):
        frame = f"{name}/{position} ".encode()
        peer = batch.peer_id(f"192.0.2.{position % 5}")
        batch.append(frame + noise.randbytes(max(0, frame_bytes - len(frame))), 1_000_000 + position, peer)
    return batch


def name_of(batch: Batch) -> str:
    return batch.frame(0).split(b"/")[0].decode()


def same(left: Batch, right: Batch) -> bool:
    parts = ("input", "data", "ends", "received_at", "peer_ids", "flags", "peers")
    return all(getattr(left, part) == getattr(right, part) for part in parts)


def new_spool(directory: Path, **options: object) -> DiskSpool:
    return DiskSpool(directory=directory, **{"max_bytes": MAX_BYTES, "window_bytes": WINDOW_BYTES, **options})  # type: ignore[arg-type]


@asynccontextmanager
async def running(directory: Path, **options: object) -> AsyncIterator[DiskSpool]:
    spool = new_spool(directory, **options)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


async def append(spool: DiskSpool, batch: Batch) -> int:
    durable = spool.append(batch)
    assert durable is not None, spool.stats()
    return await durable


async def fill(directory: Path, names: list[str], **batch: int) -> list[int]:
    """Leave batches in a spool, as a run does that stops before they are stored."""
    async with running(directory) as spool:
        return [await append(spool, make_batch(name, **batch)) for name in names]


async def take_all(spool: DiskSpool) -> list[Spooled]:
    """Take every batch that is durable now."""
    return [await spool.take() for _ in range(spool.stats().batches - len(spool._window.held()) + len(spool._window))]


async def names_left(directory: Path) -> tuple[list[str], list[CorruptionReport]]:
    """Open a spool as the next run does, and read what is there."""
    reports: list[CorruptionReport] = []
    spool = new_spool(directory)
    spool.on_corruption(reports.append)
    await spool.open()
    try:
        names = []
        while True:
            try:
                async with asyncio.timeout(ROOM_DEADLINE_SECONDS):
                    if not spool.stats().batches - len(names):
                        return names, reports
                    names.append(name_of((await spool.take()).batch))
            except TimeoutError:
                raise AssertionError(f"a batch is counted that never comes: {spool.stats()}") from None
    finally:
        await spool.close()


async def has_room(spool: DiskSpool, wanted: bool = True) -> None:
    """Wait until the spool has room again (or none)."""
    changed = asyncio.Event()
    spool.on_room(lambda _: changed.set())
    async with asyncio.timeout(ROOM_DEADLINE_SECONDS):
        while spool.has_room is not wanted:
            changed.clear()
            await changed.wait()


def crash_copy(directory: Path, target: Path) -> Path:
    """What the next run would find if the process were killed now."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(directory, target, ignore=shutil.ignore_patterns("lock", "*-shm"))
    return target
