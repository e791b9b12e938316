"""Measurements of what is stored: the questions of rules, put to the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from logstreamd.alerts.aggregate import Distinct, Lines, Measured, Share, Silence, Windows
from logstreamd.alerts.measure import MAX_GROUPS, Answer, MeasureError, Measurement, proof_filter
from logstreamd.alerts.rollup import answerable_by_counts
from logstreamd.alerts.rule import Rule
from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.errors import QueryTimeoutError, TooManyQueriesError, UnavailableError
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.scope import Scope
from logstreamd.query.search import LogReader, Search
from logstreamd.query.tallies import TallyQuestion, find_first_line, read_groups
from logstreamd.storage.migrate import Connection

__all__ = ["StoredMeasurer"]

_TROUBLE = (QueryTimeoutError, TooManyQueriesError, UnavailableError)
_PATIENCE_SECONDS = 15.0  # the usual interval: whose turn has not come by then is asked again anyway


class StoredMeasurer:
    """Answers from the database.

    Args:
        database: of its own, so that searches of people and rules never wait for each other. It asks
            ``database.max_concurrent`` questions at once; one more waits for its turn.
        patience_seconds: for how long.
    """

    def __init__(self, database: Database, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._database = database
        self._reader = LogReader(database)
        self._patience_seconds = patience_seconds
        self._turns = asyncio.Semaphore(database.max_concurrent)

    async def measure(self, measurement: Measurement) -> Answer:
        """Answer one question.

        Raises:
            MeasureError: there is no answer, or none in time.
        """
        async with self._turn(), self._database.reading() as connection:
            await Deadline(self._database.timeout_seconds).hold(connection)
            return await _measure(connection, measurement)

    async def samples(
        self, rule: Rule, group: tuple[str, ...], *, start: datetime, end: datetime, limit: int
    ) -> list[Mapping[str, Any]]:
        """Return the newest lines that prove a group's alert, newest first, as the API shows them.

        Args:
            rule: the rule.
            group: the values of its keys.
            start: begin of the window that was measured, inclusive.
            end: its end, exclusive.
            limit: lines at most; with 0 nothing is asked.

        Raises:
            MeasureError: there is no answer, or none in time.
        """
        if not limit:
            return []
        async with self._turn():
            page = await self._reader.search(Search(Scope(start, end, proof_filter(rule, group)), limit))
        return list(page.logs)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one's turn; what goes wrong in it is a :class:`MeasureError`."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._turns.acquire()
        except TimeoutError as error:
            others = self._database.max_concurrent
            raise MeasureError(
                f"no turn within {self._patience_seconds:g} s: {others} other rules take long"
            ) from error
        try:
            yield
        except _TROUBLE as problem:
            raise MeasureError(str(problem)) from problem
        finally:
            self._turns.release()


async def _measure(connection: Connection, measurement: Measurement) -> Answer:
    groups = await read_groups(connection, _question(measurement), limit=MAX_GROUPS + 1)
    first_line = await find_first_line(connection) if isinstance(measurement.aggregate, Windows) else None
    measured = [_measured(measurement, group, first_line) for group in groups[:MAX_GROUPS]]
    if not measured and not measurement.by:
        measured = [_nothing(measurement, first_line)]
    return Answer(tuple(measured), cut=len(groups) > MAX_GROUPS)


def _question(measurement: Measurement) -> TallyQuestion:
    aggregate, start, end = measurement.aggregate, measurement.earliest, measurement.end
    return TallyQuestion(
        Scope(start, end, measurement.filter),
        length=end - measurement.start if isinstance(aggregate, Windows) else end - start,
        keys=tuple(key.target for key in measurement.by),
        part=aggregate.part if isinstance(aggregate, Share) else EVERYTHING,
        value=aggregate.key.target if isinstance(aggregate, Distinct) else "",
        counted=answerable_by_counts(measurement),
    )


def _measured(measurement: Measurement, found: asyncpg.Record, first_line: datetime | None) -> Measured:
    group, lines = tuple(found["group"]), found["lines"]
    match measurement.aggregate:
        case Lines():
            return Measured(group, lines, lines)
        case Share():
            return Measured(group, found["part"] / lines, lines)
        case Distinct():
            return Measured(group, found["values"], lines)
        case Silence():
            return Measured(group, (measurement.end - found["last"]).total_seconds(), lines)
        case Windows():
            counts = Counter(dict(zip(found["steps"], found["lines_of_steps"], strict=True)))
            return _windows(measurement, group, counts, first_line)


def _nothing(measurement: Measurement, first_line: datetime | None) -> Measured:
    """Return what is measured where there are no lines."""
    match measurement.aggregate:
        case Silence(lookback):
            return Measured((), lookback.total_seconds(), 0)
        case Windows():
            return _windows(measurement, (), Counter(), first_line)
    return Measured((), 0, 0)


def _windows(
    measurement: Measurement, group: tuple[str, ...], counts: Counter[datetime], first_line: datetime | None
) -> Measured:
    """Return the lines of each window; ``counts`` has them by the begins of the windows."""
    length = measurement.end - measurement.start
    lines, usual, begin = counts[measurement.start], [], measurement.start - length
    while first_line is not None and max(first_line, measurement.earliest) <= begin:
        usual.append(counts[begin])
        begin -= length
    return Measured(group, lines, lines, tuple(usual))
