"""How many lines each group has, by stretches of time: what rules measure.

What the table ``log_counts`` knows comes from there, for minutes that lie within one stretch; the rest is counted row
by row, in the blocks that may have some, and added in the same statement. So the numbers are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from logstreamd.query.filter import Filter, to_sql
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.grouping import NOTHING, Key, key_expression
from logstreamd.query.plan import matching_ranges
from logstreamd.query.ranges import Range, day_bounds
from logstreamd.query.scope import Scope
from logstreamd.query.steps import MINUTE, ceil_to, floor_to
from logstreamd.query.templates import fill
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = [
    "Kind",
    "Slice",
    "TallyQuestion",
    "TallyStatement",
    "cut_minutes",
    "find_first_line",
    "read_groups",
    "read_tallies",
    "slices_of",
]

_SQL = load_queries("tallies.sql", package="logstreamd.query")
_MICROSECOND = timedelta(microseconds=1)
_MOST_LISTED = 64  # slices by name, each a look into the BRIN; more are a join
_MOST_LISTS = 2  # a window has two ends; of more, one list of all blocks between is cheaper


Cut: TypeAlias = tuple[datetime, datetime]
"""From a time on, and before another."""


class Kind(NamedTuple):
    """What to count, at whatever time.

    Attributes:
        filter: which lines.
        keys: lines with the same values are a group.
        part: which of the lines are counted beside.
        value: of what the different values are counted.
    """

    filter: Filter
    keys: tuple[Key, ...] = ()
    part: Filter = EVERYTHING
    value: Key = NOTHING


class TallyQuestion(NamedTuple):
    """What to count, and when.

    Attributes:
        start: inclusive.
        end: exclusive.
        length: of each step; the first one begins at the start. Different values are counted in one step only.
        counted: whether ``log_counts`` knows everything that is asked for.
    """

    kind: Kind
    start: datetime
    end: datetime
    length: timedelta
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
        limit: groups at most; those with most lines in the last step.

    Returns:
        For each group ``group``, ``lines``, ``part``, ``values``, the time ``last`` of its last line (when rows were
        read) and, beside each other, ``steps`` and ``lines_of_steps``. Groups without lines are left out.
    """
    cuts = _cuts_of(question)
    slices = await _find_slices(connection, question.kind.filter, cuts)
    if not slices and not question.counted:
        return []
    statement = TallyStatement(question.kind)
    text = statement.groups(question, cuts, slices, limit)
    return await connection.fetch(text, *statement.parameters)


async def read_tallies(connection: Connection, question: TallyQuestion, *, limit: int) -> list[asyncpg.Record]:
    """Count by groups, values and steps.

    Args:
        connection: in a transaction that sees one state of the database.
        question: what to count.
        limit: tallies at most.

    Returns:
        ``group``, ``value``, ``step``, ``lines``, ``part`` and, when rows were read, ``last``.
    """
    cuts = _cuts_of(question)
    slices = await _find_slices(connection, question.kind.filter, cuts)
    if not slices and not question.counted:
        return []
    statement = TallyStatement(question.kind)
    text = statement.tallies(question, cuts, slices, limit)
    return await connection.fetch(text, *statement.parameters)


def _cuts_of(question: TallyQuestion) -> list[Cut]:
    """Return the times whose lines have to be counted one by one."""
    if question.counted:
        return cut_minutes(question.start, question.end, question.length)
    return [(question.start, question.end)]


async def find_first_line(connection: Connection) -> datetime | None:
    """Return a time that no stored line is before; None when there is none."""
    first: datetime | None = await connection.fetchval(_SQL["first_line"])
    return first


def cut_minutes(start: datetime, end: datetime, length: timedelta) -> list[Cut]:
    """Return the parts of minutes that are not whole within one step, in order."""
    cuts = []
    before = start  # up to here all is said
    edges = [start + number * length for number in range((end - start) // length)]
    for edge in (*edges, end):
        begin, until = max(before, floor_to(MINUTE, edge)), min(end, ceil_to(MINUTE, edge))
        if begin < until:
            cuts.append((begin, until))
            before = until
    return cuts


async def _find_slices(connection: Connection, tree: Filter, cuts: list[Cut]) -> list[Slice]:
    """Return where the rows of some times lie that a filter may take."""
    if not cuts:
        return []
    asked = cuts if len(cuts) <= _MOST_LISTS else [(cuts[0][0], cuts[-1][1])]
    found: list[Slice] = []
    for start, end in asked:
        ranges = await matching_ranges(connection, Scope(start, end, tree))
        found += slices_of(ranges, cuts if len(asked) < len(cuts) else [(start, end)])
    return found


def slices_of(ranges: Iterable[Range], cuts: list[Cut]) -> Iterator[Slice]:
    """Yield the parts of disjoint ranges that lie in some times, which are disjoint and in order."""
    for one in ranges:
        begin, end = day_bounds(one.day)
        for start, until in cuts:
            if start <= one.ts_max and one.ts_min < until:
                yield Slice(max(begin, start), min(end, until), one.first_id, one.last_id)


class TallyStatement:
    """Puts a statement together, and collects its parameters.

    Args:
        kind: what to count.

    Attributes:
        parameters: the values of the parameters in their order.
    """

    def __init__(self, kind: Kind) -> None:
        self.parameters: list[Any] = []
        names = [f"key_{number}" for number in range(1, len(kind.keys) + 1)]
        keys = zip([*kind.keys, kind.value], [*names, "value"], strict=True)
        self._holes = {
            "keys": "".join(f"{key_expression(key, self._bind)} AS {name}, " for key, name in keys),
            "names": "".join(f"{name}, " for name in names),
            "listed": ", ".join(names),
            "filter": self._compile(kind.filter),
            "part": self._compile(kind.part),
        }

    def groups(self, question: TallyQuestion, cuts: Sequence[Cut], slices: Sequence[Slice], limit: int) -> str:
        """Return the query ``groups``."""
        newest = question.end - _MICROSECOND
        newest -= (newest - question.start) % question.length
        return self._fill(
            "groups",
            counted=self._counted(question, cuts, slices),
            grouped=self._holes["listed"] or "()",
            newest=self._bind(newest),
            limit=self._bind(limit),
        )

    def tallies(self, question: TallyQuestion, cuts: Sequence[Cut], slices: Sequence[Slice], limit: int) -> str:
        """Return the query ``tallies``."""
        return self._fill("tallies", counted=self._counted(question, cuts, slices), limit=self._bind(limit))

    def _counted(self, question: TallyQuestion, cuts: Sequence[Cut], slices: Sequence[Slice]) -> str:
        start, end = question.start, question.end
        steps = {"length": self._bind(question.length), "origin": self._bind(start)}
        counted = []
        if question.counted:
            minutes = {"start": self._bind(ceil_to(MINUTE, start)), "end": self._bind(floor_to(MINUTE, end))}
            cut = self._bind([floor_to(MINUTE, begin) for begin, _ in cuts])
            counted.append(self._fill("of_counts", **steps, **minutes, cut=cut))
        if slices:
            counted.append(self._fill("of_logs", **steps, rows=self._rows(slices)))
        return "\nUNION ALL\n".join(counted)

    def of_blocks(
        self, slices: Sequence[Slice], blocks: Sequence[Range], length: timedelta, origin: datetime, limit: int
    ) -> str:
        """Return the query ``of_blocks``.

        Args:
            slices: where the rows are, one at least. What they have besides the blocks is left out.
            blocks: in the order of ids, and without a common one.
            length: of each step.
            origin: where one begins.
            limit: tallies at most.
        """
        return self._fill(
            "of_blocks",
            rows=self._rows(slices),
            length=self._bind(length),
            origin=self._bind(origin),
            first_ids_of_blocks=self._bind([block.first_id for block in blocks]),
            last_ids_of_blocks=self._bind([block.last_id for block in blocks]),
            limit=self._bind(limit),
        )

    def _rows(self, slices: Sequence[Slice]) -> str:
        start, end = min(one.begin for one in slices), max(one.end for one in slices)
        bounds = {"start": self._bind(start), "end": self._bind(end), "filter": self._holes["filter"]}
        if len(slices) <= _MOST_LISTED:
            listed = " OR ".join(self._slice(one, start, end) for one in slices)
            return fill(_SQL["rows"], slices=listed, **bounds)
        columns = ("begins", "ends", "first_ids", "last_ids")
        holes = {name: self._bind([one[number] for one in slices]) for number, name in enumerate(columns)}
        return fill(_SQL["rows_of_many"], **holes, **bounds)

    def _slice(self, one: Slice, start: datetime, end: datetime) -> str:
        """Return the condition for a slice, of what is between two times."""
        ids = fill(_SQL["ids"], first=self._bind(one.first_id), last=self._bind(one.last_id))
        if (one.begin, one.end) == (start, end):  # one look into an index less
            return ids
        return fill(_SQL["ids_between"], ids=ids, begin=self._bind(one.begin), until=self._bind(one.end))

    def _fill(self, query: str, **holes: str) -> str:
        return fill(_SQL[query], **self._holes, **holes)

    def _compile(self, tree: Filter) -> str:
        condition, bound = to_sql(tree, len(self.parameters) + 1)
        self.parameters += bound
        return condition

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${len(self.parameters)}"
