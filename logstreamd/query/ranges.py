"""Blocks that may hold rows → ranges of ids, as few as there can be.

Blocks of neighbouring batches become one range, so that a question about everything reads one range a day. Ranges of a
day are disjoint even where blocks are not: a batch that was stored late may lie within the ids of a merged block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

__all__ = ["Range", "day_bounds", "halve", "merge_ranges"]

_BATCH_BITS = 16  # an id is its batch's number * 65536 + the position in it
_ABOUT = 1.1  # a half may be a tenth too large before something is cut for it


@dataclass(frozen=True, slots=True)
class Range:
    """Rows of one UTC day whose ids lie between two.

    Attributes:
        ts_min: none is earlier.
        ts_max: none is later.
        rows: how many they are; more when rows of other blocks lie between them.
    """

    day: date
    first_id: int
    last_id: int
    ts_min: datetime
    ts_max: datetime
    rows: int


def merge_ranges(blocks: Iterable[Range]) -> list[Range]:
    """Join what touches or overlaps.

    Args:
        blocks: in any order.

    Returns:
        Ranges in the order of days and ids, of which no two have a row in common.
    """
    merged: list[Range] = []
    for block in sorted(blocks, key=lambda one: (one.day, one.first_id)):
        if merged and merged[-1].day == block.day and _touch(merged[-1], block):
            merged[-1] = _join(merged[-1], block)
        else:
            merged.append(block)
    return merged


def halve(ranges: Iterable[Range]) -> tuple[list[Range], list[Range]]:
    """Divide ranges into two parts of about as many rows; one that lies across the middle is cut in two."""
    ranges = list(ranges)
    half = sum(one.rows for one in ranges) / 2
    lower: list[Range] = []
    upper: list[Range] = []
    taken = 0
    for one in ranges:
        if taken + one.rows <= half * _ABOUT:
            lower.append(one)
        elif taken >= half or one.first_id == one.last_id:
            upper.append(one)
        else:
            below, above = _cut(one, (half - taken) / one.rows)
            lower.append(below)
            upper.append(above)
        taken += one.rows
    return lower, upper


def _cut(one: Range, part: float) -> tuple[Range, Range]:
    last_id = one.first_id + int((one.last_id - one.first_id) * part)
    rows = int(one.rows * part)
    return replace(one, last_id=last_id, rows=rows), replace(one, first_id=last_id + 1, rows=one.rows - rows)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the begin of a UTC day and that of the next one."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return begin, begin + timedelta(days=1)


def _touch(lower: Range, upper: Range) -> bool:
    return upper.first_id >> _BATCH_BITS <= (lower.last_id >> _BATCH_BITS) + 1


def _join(lower: Range, upper: Range) -> Range:
    return replace(
        lower,
        last_id=max(lower.last_id, upper.last_id),
        ts_min=min(lower.ts_min, upper.ts_min),
        ts_max=max(lower.ts_max, upper.ts_max),
        rows=lower.rows + upper.rows,
    )
