"""The pools, filled in before the first line is due: drawing a message is then one look into a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from generator.event import LEVELS
from generator.pools import POOLS

__all__ = ["Messages"]

# Of each template that has something to fill in. 24 of about 140 templates are some 3,000 texts, rendered in 20 ms.
_VARIANTS = 24
# A power of two: a few random bits are an index.
_DURATIONS = 4_096
# Median and spread of how long things take; what goes wrong takes longer. The longest are some 40 times the median.
_MEDIAN_MS = {"DEBUG": 12, "INFO": 60, "WARNING": 420, "ERROR": 900, "CRITICAL": 2_000}
_SPREAD = 0.9
_NAMES = ("Ada", "Grace", "Linus, Jr.", "Zoë", "José", "Mary Ann")
_ITEMS = ("chair", "lamp", "desk, oak", "kettle", "rug", "mirror")

_FILLINGS: Mapping[str, Callable[[Random], str]] = {
    "n": lambda rng: str(rng.randint(2, 900)),
    "percent": lambda rng: str(rng.randint(60, 99)),
    "order": lambda rng: f"ord-{rng.randint(100_000, 999_999)}",
    "ip": lambda rng: f"10.{rng.randint(0, 9)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}",
    "name": lambda rng: rng.choice(_NAMES),
    "item": lambda rng: rng.choice(_ITEMS),
    "language": lambda rng: rng.choice(("de", "en", "fr", "pt")),
}


class Messages:
    """Draws who says what, and how long it took.

    Args:
        rng: draws.
    """

    def __init__(self, rng: Random) -> None:
        self._random = rng.random
        self._bits = rng.getrandbits
        self._texts = {level: _render_level(level, rng) for level in LEVELS}
        self._durations = {
            level: [max(1, round(rng.lognormvariate(0, _SPREAD) * _MEDIAN_MS[level])) for _ in range(_DURATIONS)]
            for level in LEVELS
        }

    def draw(self, level: str) -> tuple[str, str, int]:
        """Return service, message and duration in milliseconds."""
        texts = self._texts[level]
        service, message = texts[int(self._random() * len(texts))]
        return service, message, self._durations[level][self._bits(12)]


def _render_level(level: str, rng: Random) -> list[tuple[str, str]]:
    return [
        (service, text)
        for service, levels in POOLS.items()
        for template in levels.get(level, ())
        for text in _render(template, rng)
    ]


def _render(template: str, rng: Random) -> list[str]:
    """Return a template filled in so often that each template of a level is drawn as often as the others."""
    return [template.format_map({name: fill(rng) for name, fill in _FILLINGS.items()}) for _ in range(_VARIANTS)]
