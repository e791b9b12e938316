"""Which blocks of a day become one: neighbours that are small, and blocks that nobody has looked at yet.

A quiet system stores ten batches of a few rows a second, and a search that asks a block per row is no better than one
that reads the rows. So small neighbours are merged, and what came of it is merged with its neighbours in turn, until a
block is large enough. A merge at least doubles the block that a row is in, so that no row is read back more than
eleven times before its block has :data:`SMALL_ROWS`, and usually three times.

Only blocks whose id ranges are disjoint from those of all others are merged: then the rows in the range of the merged
block are the rows of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MAX_MERGED_BYTES", "MAX_MERGED_ROWS", "SMALL_BYTES", "SMALL_ROWS", "Extent", "plan_merges"]

SMALL_ROWS = 2_048
SMALL_BYTES = 256 << 10
"""A block with as many rows or bytes is large enough: an eighth of a full batch. At full load none is smaller, and
nothing that was written is read back. The index ``blocks_to_merge`` has the same numbers.
"""
MAX_MERGED_ROWS = 16_384
MAX_MERGED_BYTES = 8 << 20
"""What is read back at once lies in memory twice. A block that was never looked at may be larger by itself: a batch has
at most 65,535 rows and 16 MiB of frames.
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """A block, as far as it matters here.

    Attributes:
        first_id: the id of its first row.
        last_id: the id of its last row.
        row_count: its rows.
        byte_count: their bytes, about.
        surveyed: whether it has a filter.
        settled: whether it is old enough to be touched.
    """

    first_id: int
    last_id: int
    row_count: int
    byte_count: int
    surveyed: bool = True
    settled: bool = True

    @property
    def movable(self) -> bool:
        """Whether the block is one to be merged or looked at."""
        small = self.row_count < SMALL_ROWS and self.byte_count < SMALL_BYTES
        return self.settled and (small or not self.surveyed)


def plan_merges(blocks: Sequence[Extent]) -> list[tuple[Extent, ...]]:
    """Choose the runs of neighbours that become one block each; a run of one is looked at for the first time.

    Args:
        blocks: neighbours of one day, in the order of ``first_id``.
    """
    movable = [block.movable and apart for block, apart in zip(blocks, _apart(blocks), strict=True)]
    runs = []
    start = 0
    while start < len(blocks):
        run = tuple(blocks[start : _run_end(blocks, movable, start)])
        while run and not _worth_it(run):
            run = run[: run.index(max(run, key=_rows))]  # the small ones before the one that is too large for them
        if run:
            runs.append(run)
        start += len(run) or 1
    return runs


def _apart(blocks: Sequence[Extent]) -> list[bool]:
    """Tell for each block whether no other one reaches into its ids."""
    apart = [True] * len(blocks)
    reach, reaching = -1, -1
    for position, block in enumerate(blocks):
        if block.first_id <= reach:
            apart[position] = apart[reaching] = False
        if block.last_id > reach:
            reach, reaching = block.last_id, position
    return apart


def _run_end(blocks: Sequence[Extent], movable: Sequence[bool], start: int) -> int:
    """Return where the longest run that begins there ends."""
    rows = size = 0
    for position in range(start, len(blocks)):
        rows += blocks[position].row_count
        size += blocks[position].byte_count
        fits = position == start or (rows <= MAX_MERGED_ROWS and size <= MAX_MERGED_BYTES)
        if not movable[position] or not fits:
            return position
    return len(blocks)


def _worth_it(run: Sequence[Extent]) -> bool:
    if any(not block.surveyed for block in run):
        return True
    return len(run) > 1 and sum(map(_rows, run)) >= 2 * max(map(_rows, run))


def _rows(block: Extent) -> int:
    return block.row_count
