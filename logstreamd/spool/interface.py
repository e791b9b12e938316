"""What a spool is to the rest of the daemon, whichever way it keeps its batches.

The spool is the one durable queue between the inputs and the writer: a batch is appended, given out once per
run in the order of its ``seq``, and deleted when the writer acknowledges it. Everything here is called on the
event loop's thread.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from logstreamd.wire.batch import Batch, FileKey, FilePosition

__all__ = [
    "CorruptionReport",
    "Spool",
    "SpoolDirectoryError",
    "SpoolError",
    "SpoolOwnedError",
    "SpoolStats",
    "SpoolVersionError",
    "Spooled",
]


class SpoolError(Exception):
    """The spool could not keep a batch or cannot go on; the batch still belongs to the caller."""


class SpoolOwnedError(SpoolError):
    """Another process has this spool directory open."""


class SpoolDirectoryError(SpoolError):
    """The spool directory is not a safe place: a symlink, writable by everyone, or another user's."""


class SpoolVersionError(SpoolError):
    """The spool was written by a newer version of logstreamd; it was not touched."""


@dataclass(slots=True)
class Spooled:
    """A durable batch on its way to the writer."""

    seq: int
    """Grows with arrival, never used twice for one spool id, with gaps."""
    batch: Batch
    appended_at: int
    """When it was appended, in microseconds since the epoch."""
    number: int | None = None
    """The batch number it was given at its first attempt, by this run or an earlier one."""


@dataclass(frozen=True, slots=True)
class CorruptionReport:
    """Something in the spool could not be read as it was written, and what became of it."""

    reason: str
    kept_in: Path | None
    """Where the bytes were set aside; None when they had to stay where they are."""
    batches: int
    """Batches lost by it, as far as that can be told."""
    frames_by_input: dict[str, int] = field(default_factory=dict)
    """Frames lost by it, as far as that can be told."""


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """The state of a spool, for metrics and ``/status``."""

    sync: str
    batches: int
    """Durable and not acknowledged."""
    frames: int
    bytes: int
    """What the durable batches take of ``max_bytes``."""
    max_bytes: int
    waiting_batches: int
    """Appended, on their way to the disk."""
    waiting_bytes: int
    window_batches: int
    """Durable, in memory, not given out yet."""
    window_bytes: int
    file_bytes: int
    """What the spool's files take on disk, the write-ahead log included."""
    oldest_age_seconds: float
    """Age of the oldest batch that is not acknowledged, 0 when there is none."""
    corrupt_batches: int
    corrupt_frames_by_input: dict[str, int]
    corrupt_files: int
    full: bool
    """Whether it has no room at the moment."""
    last_error: str | None
    """The error that keeps the disk from being used, None while all is well."""


class Spool(Protocol):
    """The two ends of the queue: inputs append, the writer takes and acknowledges."""

    @property
    def id(self) -> uuid.UUID:
        """The first half of a batch's marker ``(spool id, seq)``."""

    @property
    def has_room(self) -> bool:
        """Whether inputs should go on; changes at a high and a low mark, later than :meth:`append`
        refuses.
        """

    @property
    def recovered_by_input(self) -> dict[str, int]:
        """Frames that an earlier run had left here, found at open."""

    async def open(self) -> None:
        """Become the owner and find what an earlier run left.

        Raises:
            SpoolOwnedError: another process has it.
            SpoolDirectoryError: the directory is not safe to use.
            SpoolVersionError: it belongs to a newer version.
            SpoolError: the disk fails.
        """

    async def close(self) -> None:
        """Make everything that was appended durable, then let go of the files."""

    def append(self, batch: Batch) -> asyncio.Future[int] | None:
        """Hand over a sealed batch; never blocks.

        Returns:
            None when there is no room. Otherwise the batch's seq once it is durable; or it raises SpoolError,
            and the batch was not kept.
        """

    def on_room(self, callback: Callable[[bool], None]) -> None:
        """Have ``callback`` called with False when room is lost and True when it is back."""

    def on_corruption(self, callback: Callable[[CorruptionReport], None]) -> None:
        """Have ``callback`` called for everything corrupt that is found; register before :meth:`open`."""

    async def take(self) -> Spooled:
        """Wait for the next durable batch, in the order of seq; each is given out once per run.

        Raises:
            SpoolError: the spool was closed, or its owner died.
        """

    def take_nowait(self) -> Spooled | None:
        """Return the next durable batch as :meth:`take` does, or None when none is ready in memory."""

    def assign(self, seq: int, number: int) -> None:
        """Remember the batch number of a taken batch, so that a later run stores it under the same row
        ids.
        """

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Forget taken batches: they are stored. What is not taken or already forgotten is ignored."""

    def positions(self, name: str) -> dict[FileKey, FilePosition]:
        """How far the files of an input were read, as far as that is durable."""

    def note_positions(self, name: str, positions: Mapping[FileKey, FilePosition]) -> asyncio.Future[None]:
        """Remember from where the files of an input are read, before anything of them is.

        Returns:
            Done when that is durable; cancelled when the spool ends before.
        """

    def forget_positions(self, name: str, keys: Collection[FileKey]) -> None:
        """Forget how far files were read that are gone."""

    def frames_by_input(self) -> dict[str, int]:
        """Frames durable and not acknowledged, by input."""

    async def ping(self) -> None:
        """Wait until whatever keeps the batches answers: at once, or when the disk has done what it is at.

        Raises:
            SpoolError: it never will.
        """

    def stats(self) -> SpoolStats:
        """The state of the spool now."""
