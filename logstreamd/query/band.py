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

__all__ = ["Band", "usual_band"]

_NORMAL_DEVIATIONS = 1.4826


@dataclass(frozen=True, slots=True)
class Band:
    """From ``low`` to ``high`` is usual.

    Attributes:
        low: not below 0.
        middle: the median of the earlier counts.
        high: as far above it.
        deviation: their median absolute deviation.
    """

    low: float
    middle: float
    high: float
    deviation: float


def usual_band(counts: Sequence[int], factor: float) -> Band:
    """Return the band of one or more counts, ``factor`` deviations to each side of their median."""
    middle = median(counts)
    deviation = median(abs(count - middle) for count in counts)
    width = factor * max(deviation * _NORMAL_DEVIATIONS, sqrt(middle), 1.0)
    return Band(max(0.0, middle - width), middle, middle + width, deviation)
