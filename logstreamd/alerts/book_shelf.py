"""Keeps the books of many rules within a bound: those that nobody asked for lately go first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from math import gcd, inf
from typing import NamedTuple

from logstreamd.query.tallies import Kind
from logstreamd.query.tally_book import TallyBook, TooManyTalliesError

__all__ = ["MAX_TALLIES", "MAX_TALLIES_OF_BOOK", "BookKey", "BookShelf"]

MAX_TALLIES = 500_000
"""Of all books together: some 200 MB."""
MAX_TALLIES_OF_BOOK = 200_000
"""One that has more is not kept; adding it up for each answer would take longer than to ask the database."""
_LEFT_ALONE_SECONDS = 600.0  # until a book that was too large is tried again


class BookKey(NamedTuple):
    """What a book is about.

    Attributes:
        kind: the question.
        span: how far back it is asked.
        phase: how long after a whole second its steps begin.
    """

    kind: Kind
    span: timedelta
    phase: timedelta


@dataclass(slots=True)
class _Place:
    book: TallyBook
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    too_large_at: float = -inf


class BookShelf:
    """Books by what they are about.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._places: OrderedDict[BookKey, _Place] = OrderedDict()

    @asynccontextmanager
    async def borrow(self, key: BookKey, step: timedelta) -> AsyncIterator[TallyBook]:
        """Give a book to one at a time.

        Args:
            key: what it is about.
            step: what will be asked of it lies between whole steps. A book with longer ones is begun anew.

        Raises:
            TooManyTalliesError: it was too large a short while ago, or is when it is given back.
        """
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(TallyBook(key.kind, step, key.phase))
        else:
            self._places.move_to_end(key)
        if self._clock() - place.too_large_at < _LEFT_ALONE_SECONDS:
            raise TooManyTalliesError
        async with place.lock:
            if step % place.book.step:
                step = timedelta(seconds=gcd(_seconds(step), _seconds(place.book.step)))
                place.book = TallyBook(key.kind, step, key.phase)
            size = place.book.size
            try:
                yield place.book
                if place.book.size > MAX_TALLIES_OF_BOOK:
                    raise TooManyTalliesError
            except TooManyTalliesError:
                place.book, place.too_large_at = TallyBook(key.kind, step, key.phase), self._clock()
                raise
        if place.book.size > size:
            self._tidy()

    def _tidy(self) -> None:
        sizes = {key: place.book.size for key, place in self._places.items() if not place.lock.locked()}
        total = sum(sizes.values())
        for key, size in sizes.items():
            if total <= MAX_TALLIES:
                return
            total -= size
            del self._places[key]


def _seconds(step: timedelta) -> int:
    return step // timedelta(seconds=1)
