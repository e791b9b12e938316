"""Levels by weights: in every thousand lines each has its share, and nobody can tell which comes next."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

__all__ = ["LevelDeck"]

# Shares are exact to a line in each deck; what a share is not a whole number of lines is carried into the next one.
_CARDS = 1_000


class LevelDeck:
    """Deals levels like cards, from a shuffled deck that holds each as often as its weight says.

    Independent draws would do as well on average, but the share of a level of 5 % would then be off by 1.4 % of itself
    in 100,000 lines.

    Args:
        weights: any numbers that are not negative, not all of them zero.
        rng: shuffles.
    """

    def __init__(self, weights: Mapping[str, float], rng: Random) -> None:
        total = sum(weights.values())
        self._expected = {level: _CARDS * weight / total for level, weight in weights.items() if weight > 0}
        self._owed = dict.fromkeys(self._expected, 0.0)
        self._rng = rng
        self._deck: list[str] = []

    @property
    def levels(self) -> frozenset[str]:
        """The levels that can come."""
        return frozenset(self._expected)

    def draw(self) -> str:
        """Return the next level."""
        if not self._deck:
            self._shuffle()
        return self._deck.pop()

    def _shuffle(self) -> None:
        for level, expected in self._expected.items():
            self._owed[level] += expected
        counts = {level: int(owed) for level, owed in self._owed.items()}
        missing = _CARDS - sum(counts.values())
        for level in sorted(counts, key=lambda level: counts[level] - self._owed[level])[:missing]:
            counts[level] += 1
        for level, count in counts.items():
            self._owed[level] -= count
            self._deck += [level] * count
        self._rng.shuffle(self._deck)
