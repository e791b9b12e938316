"""Newest first, without reading everything: the recent past is asked first, then more and more of it.

Rows are not sorted by time on disk, so the newest hundred of a day cost a look at the whole day. They mostly lie in its
last seconds, though, and a BRIN finds those. Each window is 60 times the one before: what was read in vain is then
a sixtieth of what has to be read after all, and a question takes at most five statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

__all__ = ["window_starts"]

_FIRST = timedelta(seconds=10)
_FACTOR = 60
_WINDOWS = 4  # 10 s, 10 min, 10 h, 25 days; then all of it


def window_starts(start: datetime, end: datetime, now: datetime) -> Iterator[datetime]:
    """Yield where to begin to read, nearest first; the last one is ``start``.

    Args:
        start: the earliest time asked for.
        end: the latest time asked for, exclusive; rows of the future count to the first window.
        now: the present.
    """
    newest = min(end, now)
    window = _FIRST
    for _ in range(_WINDOWS):
        if newest - start <= window:
            break
        yield newest - window
        window *= _FACTOR
    yield start
