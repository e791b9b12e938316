"""How many lines a second, from second to second: the usual rate, and bursts."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["BurstSettings", "Bursts"]


@dataclass(frozen=True, slots=True)
class BurstSettings:
    """What bursts are like.

    Attributes:
        frequency: chance that one begins, for each second without one.
        multiplier: how much quicker it is at least; each burst draws a factor between this and twice this.
        duration_seconds: how long it lasts.
    """

    frequency: float
    multiplier: float
    duration_seconds: int


class Bursts:
    """Decides the rate of each second.

    Args:
        rate: lines a second outside of bursts.
        settings: None for no bursts.
        rng: draws when they begin and how strong they are.
    """

    def __init__(self, rate: float, settings: BurstSettings | None, rng: Random) -> None:
        self._rate = rate
        self._settings = settings
        self._rng = rng
        self._factor = 1.0
        self._seconds_left = 0
        self.count = 0
        """How many have begun."""

    @property
    def factor(self) -> float:
        """How much quicker than usual the second asked for last is."""
        return self._factor

    def next_rate(self) -> float:
        """Return the rate of the next second."""
        if self._seconds_left:
            self._seconds_left -= 1
        elif self._settings is not None and self._rng.random() < self._settings.frequency:
            self._factor = self._settings.multiplier * self._rng.uniform(1, 2)
            self._seconds_left = self._settings.duration_seconds - 1
            self.count += 1
        else:
            self._factor = 1.0
        return self._rate * self._factor
