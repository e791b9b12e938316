"""Measurements of many rules at a time, at the price of a few: what they have in common is read once.

A *look* lists the blocks and reads the exact counts, as far back as rules ask. All rules that wait for one share it,
and so do those that ask within a second after it about a window that had ended by then: the rules of one instant. Whole
minutes of services and levels come from the counts. Everything else comes from books
(:mod:`logstreamd.query.tally_book`), for which each rule reads the blocks that came since its last turn: a rule reads a
line once or twice, however long its window is.

Questions about too much, and about parts of seconds, are not answered here. Rules of different groups share most when
their windows end at whole seconds: the lines at the ends of windows are kept by the second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from logstreamd.alerts.aggregate import Silence
from logstreamd.alerts.book_shelf import MAX_TALLIES_OF_BOOK, BookKey, BookShelf
from logstreamd.alerts.counted_pairs import judge_of
from logstreamd.alerts.measure import Answer, Measurement
from logstreamd.alerts.measured import Portion, Window, answer_of, kind_of, windows_of
from logstreamd.alerts.reach import Reach
from logstreamd.alerts.rollup import answerable_by_counts, whole_minutes
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.grouping import Verbatim
from logstreamd.query.minute_counts import MinuteCounts, Pair, read_minute_counts
from logstreamd.query.recent_blocks import RecentBlocks, read_recent_blocks
from logstreamd.query.scope import LATEST
from logstreamd.query.steps import MINUTE, ceil_to, floor_to
from logstreamd.query.tallies import Kind, TallyQuestion, find_first_line, read_tallies
from logstreamd.query.tally_book import TallyBook, TooManyTalliesError, portions_of, read_units
from logstreamd.storage.migrate import Connection

__all__ = ["SharedMeasurer", "step_of"]

_STEPS = tuple(timedelta(seconds=seconds) for seconds in (60, 30, 15, 10, 5, 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_PAIRS = Kind(EVERYTHING, (Verbatim("service"), Verbatim("severity::text")))
_EDGES_KEPT = timedelta(minutes=20)  # of the lines at the ends of windows; those of longer windows are counted anew

Turn = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen.

    Attributes:
        at: when, on the clock of whoever looked.
        end: the latest end of a window of those who asked for it.
        blocks: the newest.
        counts: None: they are too many.
        first_line: no line is earlier; None: there is none.
        pairs: lines of pairs, as far as they were added up already, by windows.
        adding: held by whoever adds up more.
    """

    at: float
    end: datetime
    blocks: RecentBlocks
    counts: MinuteCounts | None
    first_line: datetime | None
    pairs: dict[Window, list[tuple[Pair, int]]] = field(default_factory=dict)
    adding: asyncio.Lock = field(default_factory=asyncio.Lock)

    def serves(self, measurement: Measurement, *, counted: bool, oldest: float) -> bool:
        """Tell whether a question can be answered from it that was asked later."""
        if self.at < oldest or measurement.end > self.end:
            return False
        return not counted or self.counts is None or self.counts.start <= measurement.earliest


class SharedMeasurer:
    """Answers what can be answered together.

    Args:
        turn: waits for a connection and gives it, in a transaction, for as long as the block lasts.
        clock: seconds that only grow.
        look_seconds: for how long a look serves questions whose window had ended when it was asked for.
    """

    def __init__(self, turn: Turn, *, clock: Callable[[], float], look_seconds: float) -> None:
        self._turn = turn
        self._clock = clock
        self._look_seconds = look_seconds
        self._reach = Reach(clock)
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[_Look] | None = None
        self._latest: _Look | None = None
        self._shelf = BookShelf(clock)

    async def try_measure(self, measurement: Measurement) -> Answer | None:
        """Answer one question, or return None when it has to be asked by itself.

        Raises:
            whatever a turn raises.
        """
        counted = answerable_by_counts(measurement)
        step = step_of(measurement)
        if step is None and not counted:
            return None
        look = await self._look(measurement, counted=counted)
        try:
            if counted:
                portions = await self._counted(measurement, look)
            elif step is not None:
                portions = await self._read(measurement, step)
        except TooManyTalliesError:
            return None
        return answer_of(measurement, portions, look.first_line)

    async def _look(self, measurement: Measurement, *, counted: bool) -> _Look:
        """Return a look that serves a question; those who need a new one wait for it together."""
        self._reach.include(measurement, counted=counted)
        oldest = self._clock() - self._look_seconds
        if self._latest is not None and self._latest.serves(measurement, counted=counted, oldest=oldest):
            return self._latest
        if self._next is None:
            self._next = asyncio.create_task(self._look_again(), name="look at blocks and counts")
        return await asyncio.shield(self._next)

    async def _look_again(self) -> _Look:
        try:
            async with self._looking, self._turn() as connection:
                self._next = None  # who asks from now on needs the next one, if this one does not serve
                self._latest = await self._read_look(connection)
                return self._latest
        finally:
            if self._next is asyncio.current_task():  # its turn did not come
                self._next = None

    async def _read_look(self, connection: Connection) -> _Look:
        at, reach = self._clock(), self._reach
        before = None if self._latest is None else self._latest.blocks
        end, start, counts_start = reach.end, reach.start, reach.counts_start
        counts = await read_minute_counts(connection, floor_to(MINUTE, counts_start), ceil_to(MINUTE, end))
        first_line = await find_first_line(connection)
        blocks = await read_recent_blocks(connection, start, before)
        return _Look(at, end, blocks, counts, first_line)

    async def _counted(self, measurement: Measurement, look: _Look) -> Iterator[Portion]:
        windows = windows_of(measurement)
        async with look.adding:  # rules with the same windows: one of them adds up
            if not look.pairs.keys() >= set(windows):
                look.pairs.update(await self._pairs(measurement, windows, look))
        return _portions_of_pairs(measurement, [look.pairs[window] for window in windows])

    async def _pairs(
        self, measurement: Measurement, windows: Sequence[Window], look: _Look
    ) -> dict[Window, list[tuple[Pair, int]]]:
        """Return the lines of each pair in each window."""
        cuts = [cut for window in windows for cut in _cuts(window)]
        step, book = step_of(measurement), None
        deep = any(start < self._reach.end - _EDGES_KEPT for start, _ in cuts)
        if look.counts is None or deep or step is None or _phase_of(measurement):
            return await self._ask_pairs(measurement, windows)
        if cuts:
            key = BookKey(_PAIRS, _EDGES_KEPT, timedelta())
            try:
                book = await self._book(key, step, self._reach.end - _EDGES_KEPT, cuts)
            except TooManyTalliesError:
                return await self._ask_pairs(measurement, windows)
        counts = look.counts
        return {window: _pairs_between(window, counts, book) for window in windows}

    async def _ask_pairs(
        self, measurement: Measurement, windows: Sequence[Window]
    ) -> dict[Window, list[tuple[Pair, int]]]:
        """Return the same from the database.

        Raises:
            TooManyTalliesError: they are too many.
        """
        start, end = windows[0]
        question = TallyQuestion(_PAIRS, measurement.earliest, end, end - start, counted=True)
        async with self._turn() as connection:
            rows = await read_tallies(connection, question, limit=MAX_TALLIES_OF_BOOK + 1)
        if len(rows) > MAX_TALLIES_OF_BOOK:
            raise TooManyTalliesError
        pairs: dict[Window, list[tuple[Pair, int]]] = {window: [] for window in windows}
        for row in rows:
            service, severity = row["group"]
            pairs[row["step"], row["step"] + question.length].append(((service, int(severity)), row["lines"]))
        return pairs

    async def _read(self, measurement: Measurement, step: timedelta) -> Iterator[Portion]:
        kind, start, end = kind_of(measurement), measurement.earliest, measurement.end
        book = await self._book(BookKey(kind, end - start, _phase_of(measurement)), step, start, [(start, end)])
        silence = isinstance(measurement.aggregate, Silence)
        return (
            Portion(number, group, value, found.lines, found.part, found.last if silence else None)  # type: ignore[arg-type]
            for number, window in enumerate(windows_of(measurement))
            for group, value, found in book.between(*window)
        )

    async def _book(self, key: BookKey, step: timedelta, start: datetime, times: Sequence[Window]) -> TallyBook:
        """Return the book in which everything about some times is written.

        Args:
            key: what it is about.
            step: what the times consist of.
            start: what is before is not asked for any more.
            times: when.

        Raises:
            TooManyTalliesError: it would be too large.
        """
        async with self._shelf.borrow(key, step) as book:
            # The newest list, for somebody may have looked again: older ones know blocks that were merged since.
            look = self._latest
            if look is None or min(times)[0] < look.blocks.start:
                raise TooManyTalliesError
            blocks = look.blocks
            book.keep(blocks.within(max(start, blocks.start), LATEST))
            for units in portions_of(book.missing(blocks.within(*one) for one in times)):
                async with self._turn() as connection:
                    found = await read_units(connection, book, units)
                book.add(units, found)
            return book


def _pairs_between(window: Window, counts: MinuteCounts, book: TallyBook | None) -> list[tuple[Pair, int]]:
    """Return the lines of each pair in a window."""
    whole = whole_minutes(*window)
    lines = Counter[Pair](dict(counts.lines_between(*whole)) if whole is not None else {})
    if book is not None:
        for cut in _cuts(window):
            for (service, severity), _, found in book.between(*cut):
                lines[service, int(severity or 0)] += found.lines
    return list(lines.items())


def _portions_of_pairs(measurement: Measurement, windows: Sequence[list[tuple[Pair, int]]]) -> Iterator[Portion]:
    judge = judge_of(measurement)
    for number, pairs in enumerate(windows):
        for pair, lines in pairs:
            if (found := judge[pair]) is not None:
                yield Portion(number, found.group, found.value, lines, lines if found.is_part else 0)


def step_of(measurement: Measurement) -> timedelta | None:
    """Return the longest step that all windows consist of, from the phase on; None when it is less than a second."""
    phase = _EPOCH + _phase_of(measurement)
    edges = [edge - phase for window in windows_of(measurement)[:2] for edge in window]
    return next((step for step in _STEPS if not any(edge % step for edge in edges)), None)


def _phase_of(measurement: Measurement) -> timedelta:
    """Return how long after a whole second a window ends."""
    return (measurement.end - _EPOCH) % _SECOND


def _cuts(window: Window) -> Iterator[Window]:
    """Yield the ends of a window that are no whole minutes."""
    start, end = window
    whole = whole_minutes(start, end)
    if whole is None:
        yield window
        return
    if start < whole[0]:
        yield start, whole[0]
    if whole[1] < end:
        yield whole[1], end
