"""How many lines each group has, by stretches of time: what rules measure.

What the table ``log_counts`` knows comes from there, for minutes that lie within one stretch; the rest is counted row
by row, in the blocks that may have some, and added in the same statement. So the numbers are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from logstreamd.query.filter import Filter, to_sql
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.grouping import Key, key_expression
from logstreamd.query.plan import matching_ranges
from logstreamd.query.ranges import Range, day_bounds
from logstreamd.query.scope import Scope
from logstreamd.query.steps import MINUTE, ceil_to, floor_to
from logstreamd.query.templates import fill
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["Slice", "TallyQuestion", "find_first_line", "read_groups", "slices_of"]

_SQL = load_queries("tallies.sql", package="logstreamd.query")
_MICROSECOND = timedelta(microseconds=1)
_MOST_LISTS = 2  # a window has two ends; of more, one list of all blocks between is cheaper


@dataclass(frozen=True, slots=True)
class TallyQuestion:
    """What to count.

    Attributes:
        scope: which lines.
        length: of each stretch of time; the first begins where the scope does.
        keys: lines with the same values are a group.
        part: which of the lines are counted beside.
        value: of what the different values are counted; of a question with one stretch.
        counted: whether ``log_counts`` knows everything that is asked for.
    """

    scope: Scope
    length: timedelta
    keys: tuple[Key, ...] = ()
    part: Filter = EVERYTHING
    value: Key | str = ""
    counted: bool = False


class Slice(NamedTuple):
    """Rows of a range of ids from one time on and before another."""

    begin: datetime
    end: datetime
    first_id: int
    last_id: int


async def read_groups(connection: Connection, question: TallyQuestion, *, limit: int) -> list[asyncpg.Record]:
    """Count by groups.

    Args:
        connection: in a transaction that sees one state of the database.
        question: what to count.
        limit: groups at most; those with most lines in the last stretch.

    Returns:
        For each group ``group``, ``lines``, ``part``, ``values``, the time ``last`` of its last line (when rows were
        read) and, beside each other, ``steps`` and ``lines_of_steps``. Groups without lines are left out.
    """
    scope = question.scope
    cuts = list(_cuts(question)) if question.counted else [(scope.start, scope.end)]
    slices = await _find_slices(connection, scope.filter, cuts)
    newest = floor_step(question, scope.end - _MICROSECOND)
    statement = _Statement(question, newest, limit)
    text = statement.groups(slices, cuts)
    return await connection.fetch(text, *statement.parameters)


def floor_step(question: TallyQuestion, ts: datetime) -> datetime:
    """Return the begin of the stretch that a time lies in."""
    return ts - (ts - question.scope.start) % question.length


async def find_first_line(connection: Connection) -> datetime | None:
    """Return a time that no stored line is before; None when there is none."""
    first: datetime | None = await connection.fetchval(_SQL["first_line"])
    return first


def _cuts(question: TallyQuestion) -> Iterator[tuple[datetime, datetime]]:
    """Yield the parts of minutes at which a stretch begins or ends within the minute."""
    end = question.scope.end
    before = question.scope.start  # up to here it is all said
    for edge in _edges(question):
        begin, until = max(before, floor_to(MINUTE, edge)), min(end, ceil_to(MINUTE, edge))
        if begin < until:
            yield begin, until
            before = until


def _edges(question: TallyQuestion) -> Iterator[datetime]:
    edge = question.scope.start
    while edge < question.scope.end:
        yield edge
        edge += question.length
    yield question.scope.end


async def _find_slices(connection: Connection, tree: Filter, cuts: list[tuple[datetime, datetime]]) -> list[Slice]:
    """Return where the rows of some times lie that a filter may take."""
    if not cuts:
        return []
    asked = cuts if len(cuts) <= _MOST_LISTS else [(cuts[0][0], cuts[-1][1])]
    found: list[Slice] = []
    for start, end in asked:
        ranges = await matching_ranges(connection, Scope(start, end, tree))
        found += slices_of(ranges, cuts if len(asked) < len(cuts) else [(start, end)])
    return found


def slices_of(ranges: Iterable[Range], cuts: list[tuple[datetime, datetime]]) -> Iterator[Slice]:
    """Yield the parts of disjoint ranges that lie in some times, which are disjoint and in order."""
    for one in ranges:
        begin, end = day_bounds(one.day)
        begin, end = max(begin, one.ts_min), min(end, one.ts_max + _MICROSECOND)
        for start, until in cuts:
            if start < end and begin < until:
                yield Slice(max(begin, start), min(end, until), one.first_id, one.last_id)


class _Statement:
    """Puts a statement together and collects its parameters."""

    def __init__(self, question: TallyQuestion, newest: datetime, limit: int) -> None:
        self._question = question
        self.parameters: list[Any] = [question.length, question.scope.start, newest, limit]
        keys = [self._key(key, f"key_{number}") for number, key in enumerate(question.keys, 1)]
        value = "''" if isinstance(question.value, str) else key_expression(question.value, self._bind)
        self._names = [f"key_{number}" for number in range(1, len(question.keys) + 1)]
        self._keys = "".join([*keys, f"{value} AS value, "])
        self._filter = self._compile(question.scope.filter)
        self._part = self._compile(question.part)

    def groups(self, slices: list[Slice], cuts: list[tuple[datetime, datetime]]) -> str:
        listed = ", ".join(self._names)
        counted = [self._of_counts(cuts)] if self._question.counted else []
        if slices or not counted:
            counted.append(self._of_logs(slices))
        return fill(
            _SQL["groups"],
            counted="\nUNION ALL\n".join(counted),
            names="".join(f"{name}, " for name in self._names),
            listed=listed,
            grouped=listed or "()",
        )

    def _of_logs(self, slices: list[Slice]) -> str:
        begins, ends, first_ids, last_ids = ([one[field] for one in slices] for field in range(4))
        return self._fill(
            "of_logs",
            begins=self._bind(begins),
            ends=self._bind(ends),
            first_ids=self._bind(first_ids),
            last_ids=self._bind(last_ids),
            start=self._bind(self._question.scope.start),
            end=self._bind(self._question.scope.end),
        )

    def _of_counts(self, cuts: list[tuple[datetime, datetime]]) -> str:
        scope = self._question.scope
        return self._fill(
            "of_counts",
            start=self._bind(ceil_to(MINUTE, scope.start)),
            end=self._bind(floor_to(MINUTE, scope.end)),
            cut=self._bind([floor_to(MINUTE, begin) for begin, _ in cuts]),
        )

    def _fill(self, query: str, **holes: str) -> str:
        names = "".join(f"{name}, " for name in self._names)
        return fill(_SQL[query], keys=self._keys, names=names, filter=self._filter, part=self._part, **holes)

    def _key(self, key: Key, name: str) -> str:
        return f"{key_expression(key, self._bind)} AS {name}, "

    def _compile(self, tree: Filter) -> str:
        condition, bound = to_sql(tree, len(self.parameters) + 1)
        self.parameters += bound
        return condition

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${len(self.parameters)}"
