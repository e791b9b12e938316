"""Identifiers that look random and don't repeat.

A counter goes through ``n → (n · step + offset) mod size``. With a step that shares no factor with the size every value
comes once before any comes again, and no memory of the ones given out is needed.
"""

from __future__ import annotations

from itertools import product
from math import gcd
from random import Random
from string import ascii_lowercase, digits

__all__ = ["Identifiers", "Scramble"]

_GOLDEN = 0.6180339887498949  # a step of this part of the size keeps neighbours far apart
_LETTERS = ["".join(three) for three in product(ascii_lowercase, repeat=3)]
_SYMBOLS = ["".join(three) for three in product(ascii_lowercase + digits, repeat=3)]
_NUMBERS = [str(number) for number in range(1_000, 10_000)]
_USERS = 90_000  # 10000..99999


class Scramble:
    """Counts through the numbers below ``size`` in an order that looks random.

    Args:
        size: how many numbers there are.
        rng: chooses where to begin.
    """

    def __init__(self, size: int, rng: Random) -> None:
        self._size = size
        self._step = int(size * _GOLDEN)
        while gcd(self._step, size) != 1:
            self._step += 1
        self._last = rng.randrange(size)

    def next(self) -> int:
        """Return the next number."""
        self._last = (self._last + self._step) % self._size
        return self._last


class Identifiers:
    """Gives out identifiers.

    Args:
        rng: decides which.
    """

    def __init__(self, rng: Random) -> None:
        self._bits = rng.getrandbits
        # In an order of this run, or ids that follow each other would show the constant step between them.
        self._letters = rng.sample(_LETTERS, len(_LETTERS))
        self._numbers = rng.sample(_NUMBERS, len(_NUMBERS))
        self._symbols = rng.sample(_SYMBOLS, len(_SYMBOLS))
        self._lines = Scramble(len(_LETTERS) * len(_NUMBERS), rng)
        self._requests = Scramble(len(_SYMBOLS) ** 2, rng)
        self._visitors = Scramble(_USERS, rng)

    def line(self) -> str:
        """Return the id of a line, as in ``abc-1234``; the first 158 million are different."""
        letters, number = divmod(self._lines.next(), len(_NUMBERS))
        return f"{self._letters[letters]}-{self._numbers[number]}"

    def request(self) -> str:
        """Return the id of a request, as in ``req-xyz789``; the first 2 billion are different."""
        first, second = divmod(self._requests.next(), len(_SYMBOLS))
        return f"req-{self._symbols[first]}{self._symbols[second]}"

    def trace(self) -> str:
        """Return a trace id of 32 hexadecimal digits."""
        return f"{self._bits(128):032x}"

    def user(self) -> str:
        """Return anybody of 90,000 users, as in ``user-67890``."""
        return f"user-{10_000 + self._bits(32) % _USERS}"

    def visitor(self) -> str:
        """Return a user who was not a visitor for the last 90,000 visitors."""
        return f"user-{10_000 + self._visitors.next()}"
