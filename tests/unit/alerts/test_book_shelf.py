from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from logstreamd.alerts import book_shelf
from logstreamd.alerts.aggregate import Lines
from logstreamd.alerts.book_shelf import BookKey, BookShelf
from logstreamd.alerts.measure import Measurement
from logstreamd.alerts.reach import Reach
from logstreamd.query.filter import parse_filter
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.recent_blocks import Unit
from logstreamd.query.tallies import Kind
from logstreamd.query.tally_book import Tally, TallyBook, TooManyTalliesError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class ManualClock:
    """Seconds that grow when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def key(word: str) -> BookKey:
    return BookKey(Kind(parse_filter(word)), MINUTE, timedelta())


def unit(number: int) -> Unit:
    return Unit(number << 16, number << 16, 1, date(2026, 11, 22), NOON, NOON, (number << 16,))


def fill(book: TallyBook, count: int) -> None:
    """Write so many tallies, each of a unit of its own."""
    units = [unit(number) for number in range(count)]
    book.add(units, [(one, Tally(NOON, (), "", 1, 0, NOON)) for one in units])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def shelf(clock: ManualClock) -> BookShelf:
    return BookShelf(clock)


async def test_a_book_is_kept_for_the_next_time(shelf: BookShelf) -> None:
    async with shelf.borrow(key("a"), MINUTE) as book:
        fill(book, 3)
    async with shelf.borrow(key("a"), MINUTE) as again:
        assert again is book


async def test_a_book_with_shorter_steps_serves_longer_ones_and_not_the_other_way_round(shelf: BookShelf) -> None:
    async with shelf.borrow(key("a"), 15 * SECOND) as book:
        pass
    async with shelf.borrow(key("a"), MINUTE) as same:
        assert same is book
    async with shelf.borrow(key("a"), 10 * SECOND) as other:
        assert (other is book, other.step) == (False, 5 * SECOND)


async def test_books_that_nobody_asked_for_lately_make_room(shelf: BookShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_shelf, "MAX_TALLIES", 10)
    sizes = {}
    for word in ("a", "b", "a", "c"):
        async with shelf.borrow(key(word), MINUTE) as book:
            if not book.size:
                fill(book, 4)
    for word in ("a", "b", "c"):
        async with shelf.borrow(key(word), MINUTE) as book:
            sizes[word] = book.size
    assert sizes == {"a": 4, "b": 0, "c": 4}


async def test_a_book_that_is_too_large_is_tried_again_after_ten_minutes(
    shelf: BookShelf, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_shelf, "MAX_TALLIES_OF_BOOK", 3)
    with pytest.raises(TooManyTalliesError):
        async with shelf.borrow(key("a"), MINUTE) as book:
            fill(book, 4)
    clock.now = 599
    with pytest.raises(TooManyTalliesError):
        async with shelf.borrow(key("a"), MINUTE):
            pass
    clock.now = 601
    async with shelf.borrow(key("a"), MINUTE) as book:
        assert book.size == 0


def test_what_a_unit_had_goes_with_it() -> None:
    book = TallyBook(Kind(EVERYTHING), MINUTE)
    units = [unit(1), unit(2), unit(3)]
    tallies = [Tally(NOON, (), "", lines, 0, NOON + lines * SECOND) for lines in (1, 2, 4)]
    book.add(units, zip(units, tallies, strict=True))
    book.keep(frozenset(units[:2]))
    ((_, _, found),) = book.between(NOON, NOON + MINUTE)
    assert (found.lines, found.last, book.size) == (3, NOON + 2 * SECOND, 2)
    assert book.missing([frozenset(units)]) == [units[2]]


def test_blocks_are_listed_as_far_back_as_somebody_asked_in_the_last_minutes(clock: ManualClock) -> None:
    reach = Reach(clock)
    reach.include(Measurement(Lines(), EVERYTHING, (), NOON - HOUR, NOON), counted=False)
    reach.include(Measurement(Lines(), EVERYTHING, (), NOON - MINUTE, NOON), counted=True)
    assert (reach.start, reach.counts_start) == (NOON - HOUR, NOON - MINUTE)
    for clock.now in (601.0, 1202.0):
        reach.include(Measurement(Lines(), EVERYTHING, (), NOON, NOON + MINUTE), counted=True)
        expected = NOON + MINUTE - (HOUR if clock.now < 1_000 else MINUTE)
        assert reach.start == expected
