"""Errors by minute → the minutes in which they left their usual band.

The band of a minute comes from the minutes directly before it, see :mod:`logstreamd.query.band`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from logstreamd.query.band import usual_band
from logstreamd.query.steps import MINUTE

__all__ = ["MIN_BASELINE_MINUTES", "ErrorMinutes", "Sought", "Spike", "find_spikes"]

MIN_BASELINE_MINUTES = 10
"""With fewer minutes before it, a minute is not judged: the first lines after an installation would all be spikes."""


class ErrorMinutes(NamedTuple):
    """The errors of one service: minutes that have some, and how many."""

    service: str | None
    minutes: Sequence[datetime]
    errors: Sequence[int]


@dataclass(frozen=True, slots=True)
class Sought:
    """What a spike is.

    Attributes:
        first: the first minute that is known; what has no errors from here on has 0.
        start: the first minute that may be a spike.
        end: where the last one ends.
        baseline_minutes: how many minutes before it make the band of one.
        sensitivity: how many spreads wide the band is to each side.
        min_count: errors at least.
    """

    first: datetime
    start: datetime
    end: datetime
    baseline_minutes: int
    sensitivity: float
    min_count: int


@dataclass(frozen=True, slots=True)
class Spike:
    """A minute with more errors than usual, and all that is needed to check it.

    Attributes:
        service: None of rows without one.
        minute: its begin.
        errors: in this minute.
        low: the lower end of the band.
        high: the upper end.
        median: of the minutes before.
        mad: their median absolute deviation.
        baseline_minutes: how many they are.
    """

    service: str | None
    minute: datetime
    errors: int
    low: float
    high: float
    median: float
    mad: float
    baseline_minutes: int


def find_spikes(services: Iterable[ErrorMinutes], sought: Sought) -> list[Spike]:
    """Return the spikes of all services, the newest first.

    This takes up to some seconds of one processor, and imports pandas: it belongs in a thread.
    """
    spikes = [spike for service in services for spike in _spikes_of(service, sought)]
    return sorted(spikes, key=lambda spike: (spike.minute, spike.errors), reverse=True)


def _spikes_of(service: ErrorMinutes, sought: Sought) -> Iterator[Spike]:
    import pandas as pd  # type: ignore[import-untyped]  # 0.4 s and 60 MiB that only this question needs

    minutes = pd.date_range(sought.first, sought.end, freq=MINUTE, inclusive="left")
    errors = pd.Series(service.errors, index=pd.DatetimeIndex(service.minutes)).reindex(minutes, fill_value=0)
    medians = errors.rolling(sought.baseline_minutes, min_periods=MIN_BASELINE_MINUTES).median().shift(1)
    # However little the counts vary, a band is at least so wide: most minutes need nothing else to be ordinary.
    least = medians + sought.sensitivity * (medians**0.5).clip(lower=1.0)
    suspects = errors[(errors >= sought.min_count) & (errors > least) & (errors.index >= sought.start)]
    for minute, count in suspects.items():
        before = errors[minute - sought.baseline_minutes * MINUTE : minute - MINUTE].tolist()
        band = usual_band(before, sought.sensitivity)
        if count > band.high:
            yield Spike(
                service.service,
                minute.to_pydatetime(),
                int(count),
                round(band.low, 3),
                round(band.high, 3),
                float(band.middle),
                float(band.deviation),
                len(before),
            )
