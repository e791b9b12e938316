"""What one question found in each block, kept: next time only blocks that are new have to be read.

Lines are counted by steps so short that every window that is asked for begins and ends with one. What a unit of blocks
has can be added and taken away again; see :mod:`logstreamd.query.recent_blocks` for when it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from logstreamd.query.block_conditions import BlockConditions
from logstreamd.query.filter import Filter
from logstreamd.query.ranges import Range, merge_ranges
from logstreamd.query.recent_blocks import Unit
from logstreamd.query.scope import EARLIEST, LATEST, Scope
from logstreamd.query.tallies import Kind, TallyStatement, slices_of
from logstreamd.query.templates import fill
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["Found", "Group", "Tally", "TallyBook", "TooManyTalliesError", "portions_of", "read_units"]

_SQL = load_queries("tallies.sql", package="logstreamd.query")
_MOST_TALLIES = 200_000  # found at once: some 60 MB
_MOST_ROWS = 1_000_000  # read at once
_BRIDGED_ROWS = 2_048  # to read them takes about as long as another look into the BRIN of a large day
_MICROSECOND = timedelta(microseconds=1)
_by_day = attrgetter("day")
_by_day_and_id = attrgetter("day", "first_id")

Group: TypeAlias = tuple[str | None, ...]


class TooManyTalliesError(Exception):
    """What was found is too much to be kept."""


class Tally(NamedTuple):
    """Lines of a unit that are of one group, have one value and lie in one step."""

    step: datetime
    group: Group
    value: str
    lines: int
    part: int
    last: datetime


@dataclass(slots=True)
class Found:
    """The same of all units."""

    lines: int = 0
    part: int = 0
    last: datetime = EARLIEST


class TallyBook:
    """The tallies of one kind of question.

    Args:
        kind: the question.
        step: how long the steps are.
        phase: how long after the epoch one begins.

    Attributes:
        size: how many tallies are kept.
    """

    def __init__(self, kind: Kind, step: timedelta, phase: timedelta = timedelta()) -> None:
        self.kind = kind
        self.step = step
        self.phase = phase
        self.size = 0
        self._read: set[Unit] = set()
        self._kept: frozenset[Unit] | None = None
        self._tallies: dict[Unit, list[Tally]] = {}  # only of units that have some
        self._steps: dict[datetime, dict[tuple[Group, str], Found]] = defaultdict(dict)

    def missing(self, units: Iterable[frozenset[Unit]]) -> list[Unit]:
        """Return which of some units were not read yet, in the order of days and ids."""
        missing = set[Unit]().union(*units) - self._read
        return sorted(missing, key=_by_day_and_id)

    def add(self, units: Iterable[Unit], tallies: Iterable[tuple[Unit, Tally]]) -> None:
        """Add what was read in some units."""
        self._read.update(units)
        new = []
        for unit, tally in tallies:
            self._tallies.setdefault(unit, []).append(tally)
            new.append(tally)
        self.size += len(new)
        self._add(new)

    def keep(self, units: frozenset[Unit]) -> None:
        """Take away what other units had: they are no more, or lie before what is asked for."""
        if units is self._kept:
            return
        self._kept = units
        gone = self._read - units
        self._read -= gone
        lost = [tally for unit in gone for tally in self._tallies.pop(unit, ())]
        if not lost:
            return
        self.size -= len(lost)
        # The last line of a step can't be taken away: these steps are added up anew.
        again = {tally.step for tally in lost}
        for step in again:
            del self._steps[step]
        self._add(tally for tallies in self._tallies.values() for tally in tallies if tally.step in again)

    def between(self, start: datetime, end: datetime) -> Iterator[tuple[Group, str, Found]]:
        """Yield what was found between two times at which steps begin."""
        while start < end:
            if start in self._steps:
                for (group, value), found in self._steps[start].items():
                    yield group, value, found
            start += self.step

    def _add(self, tallies: Iterable[Tally]) -> None:
        for step, group, value, lines, part, last in tallies:
            found = self._steps[step].setdefault((group, value), Found())
            found.lines += lines
            found.part += part
            found.last = max(found.last, last)


async def read_units(connection: Connection, book: TallyBook, units: Iterable[Unit]) -> list[tuple[Unit, Tally]]:
    """Count the lines of some units for a book.

    Args:
        connection: in a transaction.
        book: it is left as it is.
        units: in the order of days and ids.

    Raises:
        TooManyTalliesError: see :data:`_MOST_TALLIES`.
    """
    found: list[tuple[Unit, Tally]] = []
    for day, of_day in groupby(units, key=_by_day):
        listed = list(of_day)
        matching = await _matching(connection, book.kind.filter, day, listed)
        if matching:
            found += await _read_day(connection, book, listed, matching)
        if len(found) > _MOST_TALLIES:
            raise TooManyTalliesError
    return found


def portions_of(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Yield units, as many at a time as can be read in a second or two: what was read is kept if the next one fails."""
    portion: list[Unit] = []
    rows = 0
    for unit in units:
        if portion and rows + unit.rows > _MOST_ROWS:
            yield portion
            portion, rows = [], 0
        portion.append(unit)
        rows += unit.rows
    if portion:
        yield portion


async def _matching(connection: Connection, tree: Filter, day: date, units: list[Unit]) -> set[Unit]:
    """Return the units that may have lines that pass a filter."""
    conditions = BlockConditions(Scope(EARLIEST, LATEST, tree), 3)
    if conditions.by_reason.keys() == {"time"}:
        return set(units)
    statement = fill(_SQL["blocks_with"], conditions=conditions.all())
    asked = [first_id for unit in units for first_id in unit.block_ids]
    rows = await connection.fetch(statement, day, asked, *conditions.parameters)
    matching = {row["first_id"] for row in rows}
    return {unit for unit in units if not matching.isdisjoint(unit.block_ids)}


async def _read_day(
    connection: Connection, book: TallyBook, units: list[Unit], matching: set[Unit]
) -> list[tuple[Unit, Tally]]:
    asked = [unit for unit in units if unit in matching]
    time = min(unit.ts_min for unit in asked), max(unit.ts_max for unit in asked) + _MICROSECOND
    slices = list(slices_of(_bridged(units, matching), [time]))
    statement = TallyStatement(book.kind)
    ranges = [unit.as_range() for unit in asked]
    text = statement.of_blocks(slices, ranges, book.step, EARLIEST + book.phase, _MOST_TALLIES + 1)
    rows: Iterable[Any] = await connection.fetch(text, *statement.parameters)
    return [
        (asked[block - 1], Tally(at, tuple(group), value, lines, part, last))
        for block, group, value, at, lines, part, last in rows
    ]


def _bridged(units: list[Unit], matching: set[Unit]) -> Iterator[Range]:
    """Yield ranges of ids with all units that match; few others of the units between them are in there as well."""
    begins = [one.first_id for one in merge_ranges(unit.as_range() for unit in units)]
    for _, neighbours in groupby(units, key=lambda unit: bisect_right(begins, unit.first_id)):
        run: Range | None = None
        skipped = 0
        for unit in neighbours:
            if unit not in matching:
                skipped += unit.rows
                continue
            if run is not None and skipped > _BRIDGED_ROWS:
                yield run
                run = None
            run = unit.as_range() if run is None else _prolonged(run, unit)
            skipped = 0
        if run is not None:
            yield run


def _prolonged(run: Range, unit: Unit) -> Range:
    return replace(run, last_id=unit.last_id, ts_min=min(run.ts_min, unit.ts_min), ts_max=max(run.ts_max, unit.ts_max))
