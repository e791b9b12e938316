"""How ``max_bytes`` is divided: the database, its log, and what one batch is counted with.

At every moment database + log + side files stay below ``max_bytes``. The log needs its share because a batch
is in it before it is in the database, and is not gone from it before all of it has been moved over.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MIN_MAX_BYTES", "PAGE_BYTES", "DiskLimits", "disk_cost"]

PAGE_BYTES = 8192
"""Measured with 1 MiB batches: 0.46 us a record with 4 KiB pages, 0.31 with 8 KiB, 0.28 with 16 KiB; a commit
of one small batch writes three or four pages, so the smaller of the fast ones.
"""

MIN_MAX_BYTES = 16 << 20
"""Below this a batch of the default size (2 MiB of frames and their table) would not fit into half of the
log.
"""

_MAX_LOG_BYTES = 64 << 20  # a longer log saves nothing: what is stored quickly never leaves the log anyway
_MAX_GROUP_BYTES = 4 << 20  # two full batches share an fsync; memory holds one encoded copy of them
_SIDE_FILES_BYTES = 256 << 10  # spool.db-shm (32 KiB for 4,096 pages of log), identity, lock
_ROW_BYTES = 64  # the small columns of a row, its cell header and its share of the pages above it


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """The shares of one ``max_bytes``."""

    max_bytes: int
    log_bytes: int
    group_bytes: int
    """One transaction takes batches up to this and then the one that crosses the line."""
    batch_bytes: int
    """The largest body: with a group before it, it still fits into the log."""
    pages: int
    """What the database may grow to."""
    capacity: int
    """What the batches may cost together."""

    @classmethod
    def of(cls, max_bytes: int) -> DiskLimits:
        """Divide ``max_bytes``.

        Raises:
            ValueError: it is below :data:`MIN_MAX_BYTES`.
        """
        if max_bytes < MIN_MAX_BYTES:
            raise ValueError(f"max_bytes must be at least {MIN_MAX_BYTES} (got {max_bytes})")
        log = min(_MAX_LOG_BYTES, max_bytes // 3)
        pages = (max_bytes - log - _SIDE_FILES_BYTES) // PAGE_BYTES
        # 1 page in 1,638 is a map of the others, 1 row in some 200 is a row of an inner page; 8 are the empty
        # tables
        capacity = (pages * 99 // 100 - 8) * PAGE_BYTES
        return cls(max_bytes, log, min(_MAX_GROUP_BYTES, log // 2), log // 2, pages, capacity)


def disk_cost(body_bytes: int) -> int:
    """Bytes of the capacity a body of this size is counted with: never less than it takes.

    A large body fills pages of its own after a remainder in the row's page; small ones share a page, of which
    at worst a quarter stays empty.
    """
    size = body_bytes + _ROW_BYTES
    if size <= PAGE_BYTES // 4:
        return size * 4 // 3
    return (size // (PAGE_BYTES - 4) + 2) * PAGE_BYTES
