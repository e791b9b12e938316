"""Measurements of many rules at a time, at the price of a few: what they have in common is read once.

A *look* lists the blocks and reads the exact counts that the rules of a round need. All rules that ask while a look is
waited for share it; it begins after they asked, so that no answer is older than its question. Whole minutes of services
and levels come from the counts. Everything else comes from books (:mod:`logstreamd.query.tally_book`), for which each
rule reads the blocks that came since its last turn: a rule reads a line once or twice, however long its window is.

Windows must begin and end at whole seconds. Other questions, and those about too much, are not answered here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from logstreamd.alerts.aggregate import Silence, Windows
from logstreamd.alerts.book_shelf import BookShelf
from logstreamd.alerts.counted_pairs import judge_of
from logstreamd.alerts.measure import Answer, Measurement
from logstreamd.alerts.measured import Portion, Window, answer_of, kind_of, windows_of
from logstreamd.alerts.rollup import answerable_by_counts, whole_minutes
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.grouping import Verbatim
from logstreamd.query.minute_counts import MinuteCounts, read_minute_counts
from logstreamd.query.recent_blocks import RecentBlocks, read_recent_blocks
from logstreamd.query.scope import EARLIEST, LATEST
from logstreamd.query.steps import MINUTE, ceil_to, floor_to
from logstreamd.query.tallies import Kind, find_first_line
from logstreamd.query.tally_book import TallyBook, TooManyTalliesError, portions_of, read_units
from logstreamd.storage.migrate import Connection

__all__ = ["SharedMeasurer", "step_of"]

_STEPS = tuple(timedelta(seconds=seconds) for seconds in (60, 30, 15, 10, 5, 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAIRS = Kind(EVERYTHING, (Verbatim("service"), Verbatim("severity::text")))
_FORGET_SECONDS = 600.0  # how long a rule that asks no more still decides how far back blocks are listed

Turn = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(slots=True)
class _Need:
    """What the rules that wait for a look need of it."""

    start: datetime = LATEST
    counts_start: datetime = LATEST
    counts_end: datetime = EARLIEST
    first_line: bool = False

    def include(self, measurement: Measurement) -> None:
        self.start = min(self.start, measurement.earliest)
        if answerable_by_counts(measurement):
            self.counts_start = min(self.counts_start, measurement.earliest)
            self.counts_end = max(self.counts_end, measurement.end)
        self.first_line |= isinstance(measurement.aggregate, Windows)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen of the counts.

    Attributes:
        counts: None: nobody asked, or they are too many.
        first_line: no line is earlier, if somebody asked.
    """

    counts: MinuteCounts | None
    first_line: datetime | None


class SharedMeasurer:
    """Answers what can be answered together.

    Args:
        turn: waits for a connection and gives it, in a transaction, for as long as the block lasts.
        clock: seconds that only grow.
    """

    def __init__(self, turn: Turn, *, clock: Callable[[], float]) -> None:
        self._turn = turn
        self._reach = _Reach(clock)
        self._looking = asyncio.Lock()
        self._need = _Need()
        self._next: asyncio.Task[_Look] | None = None
        self._blocks: RecentBlocks | None = None
        self._shelf = BookShelf(clock)

    async def try_measure(self, measurement: Measurement) -> Answer | None:
        """Answer one question, or return None when it has to be asked by itself.

        Raises:
            whatever a turn raises.
        """
        step = step_of(measurement)
        if step is None:
            return None
        look = await self._look(measurement)
        try:
            if answerable_by_counts(measurement):
                if look.counts is None:
                    return None
                portions = await self._counted(measurement, step, look.counts)
            else:
                portions = await self._read(measurement, step)
        except TooManyTalliesError:
            return None
        return answer_of(measurement, portions, look.first_line)

    async def _look(self, measurement: Measurement) -> _Look:
        """Look, together with all who ask before it begins."""
        self._reach.include(measurement)
        self._need.include(measurement)
        if self._next is None:
            self._next = asyncio.create_task(self._look_together(), name="look at blocks and counts")
        return await asyncio.shield(self._next)

    async def _look_together(self) -> _Look:
        try:
            async with self._looking, self._turn() as connection:
                return await self._read_look(connection, self._begin())
        finally:
            if self._next is asyncio.current_task():  # its turn did not come
                self._begin()

    def _begin(self) -> _Need:
        """Return what is needed of the look that begins; who asks from now on needs the next one."""
        need, self._need, self._next = self._need, _Need(), None
        return need

    async def _read_look(self, connection: Connection, need: _Need) -> _Look:
        self._blocks = await read_recent_blocks(connection, min(need.start, self._reach.start))
        counts = None
        if need.counts_start < need.counts_end:
            minutes = floor_to(MINUTE, need.counts_start), ceil_to(MINUTE, need.counts_end)
            counts = await read_minute_counts(connection, *minutes)
        return _Look(counts, await find_first_line(connection) if need.first_line else None)

    async def _counted(self, measurement: Measurement, step: timedelta, counts: MinuteCounts) -> Iterator[Portion]:
        cuts = [cut for window in windows_of(measurement) for cut in _cuts(window)]
        book = None
        if cuts:
            start = min(self._reach.start, measurement.earliest)
            book = await self._book((_PAIRS, timedelta()), step, start, cuts)
        return self._portions_of_pairs(measurement, counts, book)

    def _portions_of_pairs(
        self, measurement: Measurement, counts: MinuteCounts, book: TallyBook | None
    ) -> Iterator[Portion]:
        judge = judge_of(measurement)
        for number, window in enumerate(windows_of(measurement)):
            if (whole := whole_minutes(*window)) is not None:
                for pair, lines in counts.lines_between(*whole):
                    if (found := judge[pair]) is not None:
                        yield Portion(number, found.group, found.value, lines, lines if found.is_part else 0)
            if book is None:
                continue
            for start, end in _cuts(window):
                for (service, severity), _, tally in book.between(start, end):
                    if (found := judge[service, int(severity or 0)]) is not None:
                        part = tally.lines if found.is_part else 0
                        yield Portion(number, found.group, found.value, tally.lines, part)

    async def _read(self, measurement: Measurement, step: timedelta) -> Iterator[Portion]:
        kind, start, end = kind_of(measurement), measurement.earliest, measurement.end
        book = await self._book((kind, end - start), step, start, [(start, end)])
        silence = isinstance(measurement.aggregate, Silence)
        return (
            Portion(number, group, value, found.lines, found.part, found.last if silence else None)  # type: ignore[arg-type]
            for number, window in enumerate(windows_of(measurement))
            for group, value, found in book.between(*window)
        )

    async def _book(
        self, key: tuple[Kind, timedelta], step: timedelta, start: datetime, times: Sequence[Window]
    ) -> TallyBook:
        """Return the book in which everything about some times is written.

        Args:
            key: what it is about, and how long before the present.
            step: what the times consist of.
            start: what is before is not asked for any more.
            times: when.

        Raises:
            TooManyTalliesError: it would be too large.
        """
        async with self._shelf.borrow(key, _finest(step, self._shelf.step_of(key))) as book:
            # The newest list, for somebody may have looked again: older ones know blocks that were merged since.
            blocks = self._blocks
            if blocks is None or min(times)[0] < blocks.start:
                raise TooManyTalliesError
            book.keep(blocks.within(max(start, blocks.start), LATEST))
            for units in portions_of(book.missing(blocks.within(*one) for one in times)):
                async with self._turn() as connection:
                    found = await read_units(connection, book.kind, book.step, units)
                book.add(units, found)
            return book


class _Reach:
    """How far back rules have asked lately: so far back blocks are listed each time, so that all lists are alike."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest = EARLIEST
        self._spans = [timedelta(), timedelta()]  # of this stretch of time and of the one before
        self._turned_at = clock()

    @property
    def start(self) -> datetime:
        """Nobody asks for what is before."""
        return max(EARLIEST, self._newest - max(self._spans)) if self._newest > EARLIEST else LATEST

    def include(self, measurement: Measurement) -> None:
        """Take note of what a rule asks for."""
        if self._clock() - self._turned_at > _FORGET_SECONDS:
            self._spans, self._turned_at = [timedelta(), self._spans[0]], self._clock()
        self._newest = max(self._newest, measurement.end)
        self._spans[0] = max(self._spans[0], measurement.end - measurement.earliest)


def step_of(measurement: Measurement) -> timedelta | None:
    """Return the longest step that all windows of a measurement consist of; None when it is less than a second."""
    edges = [edge - _EPOCH for window in windows_of(measurement)[:2] for edge in window]
    return next((step for step in _STEPS if not any(edge % step for edge in edges)), None)


def _finest(step: timedelta, other: timedelta | None) -> timedelta:
    """Return the longest step that two others consist of."""
    if other is None:
        return step
    return next(one for one in _STEPS if not step % one and not other % one)


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
