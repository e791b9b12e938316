"""How many rows, by fields and by steps of time: from the exact counts where they know, else from the rows themselves.

``log_counts`` and ``log_totals`` say how many rows each minute has by service and level. A question about nothing else
is answered from there; minutes that its range cuts are counted row by row and added, in the same statement. So the
answer is always what ``count(*)`` would say.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import asyncpg

from logstreamd.query.count_statement import CountsTable, Statement, counts_table, sum_counts, sum_rows
from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.durations import read_duration
from logstreamd.query.labels import Label, read_labels
from logstreamd.query.parameters import collect, read_count
from logstreamd.query.plan import matching_ranges
from logstreamd.query.ranges import Range
from logstreamd.query.scope import EARLIEST, LATEST, SCOPE_ONCE, SCOPE_PARAMETERS, SCOPE_PREFIXES, Scope, read_scope
from logstreamd.query.steps import MINUTE, Steps, steps_between
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["CountQuestion", "CountReader", "Counts", "Rest", "Series", "parse_counts"]

_SQL = load_queries("counts.sql", package="logstreamd.query")
_ONCE = ("step", "limit")
_DEFAULT_SERIES = 100
_MAX_SERIES = 1_000
_MAX_POINTS = 100_000  # of all series: some 4 MB as JSON, and 20 ms to write it
_FEW_ROWS = 524_288  # in blocks that may match: a second for one process
_MAX_RANGES = 64  # of ids in one statement; each costs a look at the BRIN
_MIN_STEP, _MAX_STEP = timedelta(milliseconds=1), timedelta(days=366)

Point: TypeAlias = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class CountQuestion:
    """A question for numbers of rows.

    Attributes:
        by: the fields whose values make series of their own.
        step: length of the steps; None asks for totals.
        limit: series at most; those with the most rows.
    """

    scope: Scope
    by: tuple[Label, ...] = ()
    step: timedelta | None = None
    limit: int = _DEFAULT_SERIES


@dataclass(frozen=True, slots=True)
class Series:
    """The rows that have the same values in the fields counted by.

    Attributes:
        labels: these values by field; None for rows without.
        total: how many rows.
        points: how many in each step, by its begin; none without steps.
    """

    labels: dict[str, str | None]
    total: int
    points: list[Point]


@dataclass(frozen=True, slots=True)
class Rest:
    """The rows of all series that had no room in an answer.

    Attributes:
        series: how many they are.
    """

    series: int
    total: int
    points: list[Point]


@dataclass(frozen=True, slots=True)
class Counts:
    """An answer.

    Attributes:
        series: those with the most rows first.
        other: None when all are shown.
        source: what was asked: the exact counts, or the rows.
        took_ms: time in the database and around it.
    """

    series: list[Series]
    other: Rest | None
    source: Literal["counts", "scan"]
    took_ms: float


def parse_counts(given: Iterable[tuple[str, str]], *, now: datetime) -> CountQuestion:
    """Read the parameters of a question.

    Args:
        given: names and values, as the query string has them.
        now: the present.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
        FilterError: ``q`` is no filter.
    """
    known = (*SCOPE_PARAMETERS, "by", *_ONCE)
    values = collect(given, known, once=(*SCOPE_ONCE, *_ONCE), prefixes=SCOPE_PREFIXES)
    question = CountQuestion(
        scope=read_scope(values, now=now),
        by=read_labels(values, "by"),
        step=read_duration(values, "step", at_least=_MIN_STEP, at_most=_MAX_STEP),
        limit=read_count(values, "limit", default=_DEFAULT_SERIES, at_most=_MAX_SERIES),
    )
    if question.step and question.scope.start > EARLIEST and question.scope.end < LATEST:
        steps_between(question.scope.start, question.scope.end, question.step)  # too many are refused right here
    return question


class CountReader:
    """Counts rows.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, question: CountQuestion) -> Counts:
        """Count.

        Raises:
            BadParameterError: too many steps, as it turned out.
            TooManyQueriesError: too many run already.
            QueryTimeoutError: the statement timeout struck.
            UnavailableError: PostgreSQL can't be reached.
        """
        started = time.perf_counter()
        table = counts_table(question.scope.filter, question.by) if _in_whole_minutes(question.step) else None
        with self._database.question():
            async with self._database.reading() as connection:
                deadline = Deadline(self._database.timeout_seconds)
                await deadline.hold(connection)
                steps = await _find_steps(connection, question)
                statement = await _state(connection, question, steps, table)
                await deadline.hold(connection)
                rows = await connection.fetch(statement.text, *statement.parameters) if statement else []
        series, other = _as_series(question.by, steps, rows)
        took_ms = round((time.perf_counter() - started) * 1_000, 3)
        return Counts(series, other, "scan" if table is None else "counts", took_ms)


def _in_whole_minutes(step: timedelta | None) -> bool:
    return step is None or not step % MINUTE


async def _find_steps(connection: Connection, question: CountQuestion) -> Steps | None:
    """Return the steps of an answer; where the question leaves its range open, they end where the rows do."""
    if question.step is None:
        return None
    start, end = question.scope.start, question.scope.end
    if start == EARLIEST or end == LATEST:
        extent = await connection.fetchrow(_SQL["extent"])
        if extent is None or extent["first"] is None:
            return Steps(start, question.step, 0)
        start = max(start, extent["first"])
        end = min(end, extent["last"] + MINUTE)
    return steps_between(start, end, question.step)


async def _state(
    connection: Connection, question: CountQuestion, steps: Steps | None, table: CountsTable | None
) -> Statement | None:
    """Return the statement to ask; None when the blocks say that there is no such row."""
    scope, by, limit = question.scope, question.by, question.limit
    if steps is not None:
        limit = min(limit, _MAX_POINTS // max(steps.count, 1))
    if table is not None:
        return sum_counts(scope, by, steps, limit, table)
    ranges = await _few_ranges(connection, scope)
    return None if ranges == [] else sum_rows(scope, by, steps, limit, ranges)


async def _few_ranges(connection: Connection, scope: Scope) -> list[Range] | None:
    """Return where the rows lie if that is little to read; else several processes are quicker with all of it."""
    ranges = await matching_ranges(connection, scope)
    few = len(ranges) <= _MAX_RANGES and sum(one.rows for one in ranges) <= _FEW_ROWS
    return ranges if few else None


def _as_series(
    by: Sequence[Label], steps: Steps | None, rows: Iterable[asyncpg.Record]
) -> tuple[list[Series], Rest | None]:
    """Turn rows of the query ``series`` into an answer."""
    begins = steps.begins() if steps else []
    series: list[Series] = []
    other = None
    for row in rows:
        points = _as_points(begins, row["positions"], row["counts"])
        if row["labels"] is None:
            other = Rest(row["series"], row["total"], points)
        else:
            labels = {label.name: label.value_of(text) for label, text in zip(by, row["labels"], strict=True)}
            series.append(Series(labels, row["total"], points))
    if not by and not series:
        series.append(Series({}, 0, _as_points(begins, [], [])))  # a question for one number is answered with one
    return series, other


def _as_points(begins: list[datetime], positions: list[int], counts: list[int]) -> list[Point]:
    """Place counts on their steps; several of one step add up, a step without any is 0."""
    if not begins:
        return []
    numbers = [0] * len(begins)
    for position, count in zip(positions, counts, strict=True):
        numbers[position] += count
    return list(zip(begins, numbers, strict=True))
