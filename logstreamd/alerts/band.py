"""Earlier counts → the band in which the next one is usual.

The middle is the median and the width comes from the median absolute deviation (times 1.4826, which makes it the
standard deviation where counts are normally distributed): one earlier burst moves neither. Counts that hardly vary
still do so by chance, about as the square root of their size (Poisson), so the deviation is at least that, and at
least one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

__all__ = ["MIN_KNOWN_SHARE", "Band", "usual_band"]

MIN_KNOWN_SHARE = 0.5
"""Of the earlier windows; with less, the first lines after an installation would all be spikes."""

_NORMAL_DEVIATIONS = 1.4826


@dataclass(frozen=True, slots=True)
class Band:
    """From ``low`` to ``high`` is usual."""

    low: float
    middle: float
    high: float


def usual_band(counts: Sequence[int], factor: float) -> Band:
    """Return the band of one or more counts, ``factor`` deviations to each side of their median."""
    middle = median(counts)
    spread = median(abs(count - middle) for count in counts) * _NORMAL_DEVIATIONS
    width = factor * max(spread, sqrt(middle), 1.0)
    return Band(max(0.0, middle - width), middle, middle + width)
