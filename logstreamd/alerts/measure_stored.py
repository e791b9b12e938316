"""Measurements of what is stored: the questions of rules, put to the database."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from logstreamd.alerts.aggregate import Windows
from logstreamd.alerts.measure import MAX_GROUPS, Answer, MeasureError, Measurement, proof_filter
from logstreamd.alerts.measure_shared import SharedMeasurer
from logstreamd.alerts.measured import GroupTotal, kind_of, known_windows, measured_of, windows_of
from logstreamd.alerts.rollup import answerable_by_counts
from logstreamd.alerts.rule import Rule
from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.errors import QueryTimeoutError, TooManyQueriesError, UnavailableError
from logstreamd.query.scope import Scope
from logstreamd.query.search import LogReader, Search
from logstreamd.query.tallies import TallyQuestion, find_first_line, read_groups
from logstreamd.storage.migrate import Connection

__all__ = ["StoredMeasurer"]

_TROUBLE = (QueryTimeoutError, TooManyQueriesError, UnavailableError)
_PATIENCE_SECONDS = 15.0  # the usual interval: whose turn has not come by then is asked again anyway

_LOOK_SECONDS = 1.0


class StoredMeasurer:
    """Answers from the database.

    Args:
        database: of its own, so that searches of people and rules never wait for each other. It asks
            ``database.max_concurrent`` questions at once; one more waits for its turn.
        patience_seconds: for how long.
        look_seconds: how old the state of the database may be that a question about a window of the past is answered
            from; see :mod:`logstreamd.alerts.measure_shared`.
    """

    def __init__(
        self,
        database: Database,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._reader = LogReader(database)
        self._patience_seconds = patience_seconds
        self._slots = asyncio.Semaphore(database.max_concurrent)
        self._shared = SharedMeasurer(self._turn, clock=time.monotonic, look_seconds=look_seconds)

    async def measure(self, measurement: Measurement) -> Answer:
        """Answer one question. Rules that ask at the same time share what they have in common.

        Raises:
            MeasureError: there is no answer, or none in time.
        """
        try:
            answer = await self._shared.try_measure(measurement)
            if answer is None:
                async with self._turn() as connection:
                    answer = await _measure(connection, measurement)
        except _TROUBLE as problem:
            raise MeasureError(str(problem)) from problem
        return answer

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
        try:
            async with self._slot():
                page = await self._reader.search(Search(Scope(start, end, proof_filter(rule, group)), limit))
        except _TROUBLE as problem:
            raise MeasureError(str(problem)) from problem
        return list(page.logs)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Connection]:
        """Wait for a connection, and have it for as long as the block lasts."""
        async with self._slot(), self._database.reading() as connection:
            await Deadline(self._database.timeout_seconds).hold(connection)
            yield connection

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Be one of those who may ask at the same time.

        Raises:
            MeasureError: the others take too long.
        """
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            others = self._database.max_concurrent
            raise MeasureError(f"no turn in {self._patience_seconds:g} s: {others} other rules take long") from error
        try:
            yield
        finally:
            self._slots.release()


async def _measure(connection: Connection, measurement: Measurement) -> Answer:
    """Ask one question by itself: one statement for the lines, whatever they are, and one for where they begin."""
    length = measurement.end - measurement.earliest
    if isinstance(measurement.aggregate, Windows):
        length = measurement.end - measurement.start
    counted = answerable_by_counts(measurement)
    question = TallyQuestion(kind_of(measurement), measurement.earliest, measurement.end, length, counted)
    groups = await read_groups(connection, question, limit=MAX_GROUPS + 1)
    first_line = await find_first_line(connection) if isinstance(measurement.aggregate, Windows) else None
    totals = {tuple(found["group"]): _total(measurement, found) for found in groups[:MAX_GROUPS]}
    if not measurement.by:
        totals.setdefault((), GroupTotal())
    known = known_windows(measurement, first_line)
    measured = (measured_of(measurement, group, total, known) for group, total in totals.items())
    return Answer(tuple(measured), cut=len(groups) > MAX_GROUPS)


def _total(measurement: Measurement, found: asyncpg.Record) -> GroupTotal:
    lines = dict(zip(found["steps"], found["lines_of_steps"], strict=True))
    windows = Counter({number: lines.get(start, 0) for number, (start, _) in enumerate(windows_of(measurement))})
    return GroupTotal(found["lines"], found["part"], found["last"], found["values"], windows)
