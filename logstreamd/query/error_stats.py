"""How many errors of which kind, of which service and when, and the newest of them.

An error is a row of level error or worse, or one with an HTTP status from 400 on. All numbers of an answer are of one
moment: their sums agree, and the newest errors are among those counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.durations import read_duration, within_window
from logstreamd.query.filter import to_sql
from logstreamd.query.http_status import MAY_BE_BAD_SQL, STATUS_SQL, status_name
from logstreamd.query.parameters import collect, read_count
from logstreamd.query.scope import LATEST, SCOPE_ONCE, SCOPE_PARAMETERS, SCOPE_PREFIXES, Scope, read_scope
from logstreamd.query.search import as_log
from logstreamd.query.steps import Steps, steps_between
from logstreamd.query.templates import fill
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["ErrorQuestion", "ErrorReader", "ErrorStats", "ServiceErrors", "parse_error_stats"]

_SQL = load_queries("error_stats.sql", package="logstreamd.query")
_CANDIDATE = fill(_SQL["candidate"], may_be_bad=MAY_BE_BAD_SQL)
_ONCE = ("window", "step", "limit")
_DEFAULT_WINDOW = timedelta(days=1)
_MAX_WINDOW = timedelta(days=366)
_MIN_STEP, _MAX_STEP = timedelta(seconds=1), timedelta(days=366)
_DEFAULT_RECENT, _MAX_RECENT = 20, 100  # rows, of up to 64 KiB each
_MAX_SERVICES = 100
# Without steps in the answer errors are still counted by steps, to know from where on to read the newest ones.
_INNER_STEPS = 1_000
_BY_STATUS, _BY_SERVICE, _BY_STEP = 3, 5, 6


@dataclass(frozen=True, slots=True)
class ErrorQuestion:
    """A question for errors.

    Attributes:
        now: where the steps end when the range is open.
        step: length of the steps; None asks for totals.
        recent: how many of the newest errors are shown.
    """

    scope: Scope
    now: datetime
    step: timedelta | None = None
    recent: int = _DEFAULT_RECENT


@dataclass(frozen=True, slots=True)
class ServiceErrors:
    """The errors of a service; None is of rows without one."""

    service: str | None
    errors: int


@dataclass(frozen=True, slots=True)
class ErrorStats:
    """An answer.

    Attributes:
        total_errors: how many there are.
        error_types: how many of each kind, see :func:`~logstreamd.query.http_status.status_name`.
        by_service: the services with the most.
        points: how many in each step, by its begin; none without steps.
        recent_errors: the newest as the API shows logs, with their ``error_type``.
        start: from when on they were counted.
        took_ms: time in the database and around it.
    """

    total_errors: int
    error_types: dict[str, int]
    by_service: list[ServiceErrors]
    points: list[tuple[datetime, int]]
    recent_errors: list[dict[str, Any]]
    start: datetime
    took_ms: float


def parse_error_stats(given: Iterable[tuple[str, str]], *, now: datetime) -> ErrorQuestion:
    """Read the parameters of a question.

    Args:
        given: names and values, as the query string has them.
        now: the present.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
        FilterError: ``q`` is no filter.
    """
    values = collect(given, (*SCOPE_PARAMETERS, *_ONCE), once=(*SCOPE_ONCE, *_ONCE), prefixes=SCOPE_PREFIXES)
    scope = read_scope(values, now=now)
    question = ErrorQuestion(
        scope=within_window(scope, values, now=now, default=_DEFAULT_WINDOW, at_most=_MAX_WINDOW),
        now=now,
        step=read_duration(values, "step", at_least=_MIN_STEP, at_most=_MAX_STEP),
        recent=read_count(values, "limit", default=_DEFAULT_RECENT, at_most=_MAX_RECENT),
    )
    _find_steps(question)  # too many are refused right here
    return question


class ErrorReader:
    """Counts errors.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stats(self, question: ErrorQuestion) -> ErrorStats:
        """Count.

        Raises:
            TooManyQueriesError: too many run already.
            QueryTimeoutError: the time for a question is over.
            UnavailableError: PostgreSQL can't be reached.
        """
        started = time.perf_counter()
        with self._database.question():
            async with self._database.reading() as connection:
                deadline = Deadline(self._database.timeout_seconds)
                await deadline.hold(connection)
                rows = await _count(connection, question)
                by_step = {row["step"]: row["errors"] for row in rows if row["kind"] == _BY_STEP}
                await deadline.hold(connection)
                recent = await _read_newest(connection, question, by_step)
        types = {status_name(row["status"]): row["errors"] for row in rows if row["kind"] == _BY_STATUS}
        services = [ServiceErrors(row["service"], row["errors"]) for row in rows if row["kind"] == _BY_SERVICE]
        return ErrorStats(
            total_errors=sum(types.values()),
            error_types=types,
            by_service=services,
            points=_as_points(question, by_step),
            recent_errors=[as_log(row) | {"error_type": status_name(row["status"])} for row in recent],
            start=question.scope.start,
            took_ms=round((time.perf_counter() - started) * 1_000, 3),
        )


def _find_steps(question: ErrorQuestion) -> Steps | None:
    """Return the steps of an answer; an open range ends now."""
    if question.step is None:
        return None
    scope = question.scope
    return steps_between(scope.start, question.now if scope.end == LATEST else scope.end, question.step)


async def _count(connection: Connection, question: ErrorQuestion) -> list[asyncpg.Record]:
    scope = question.scope
    span = max(min(scope.end, question.now) - scope.start, timedelta(0))
    steps = _find_steps(question) or Steps(scope.start, max(span / _INNER_STEPS, _MIN_STEP), _INNER_STEPS)
    condition, parameters = to_sql(scope.filter, 6)
    statement = fill(_SQL["numbers"], status=STATUS_SQL, candidate=_CANDIDATE, filter=condition)
    return await connection.fetch(
        statement, scope.start, scope.end, steps.length, steps.first, _MAX_SERVICES, *parameters
    )


async def _read_newest(
    connection: Connection, question: ErrorQuestion, by_step: dict[datetime, int]
) -> list[asyncpg.Record]:
    """Read the newest errors, beginning with the step from which on there are enough of them."""
    since, found = question.scope.end, 0
    for since in sorted(by_step, reverse=True):
        found += by_step[since]
        if found >= question.recent:
            break
    if not found:
        return []
    condition, parameters = to_sql(question.scope.filter, 4)
    statement = fill(_SQL["recent"], status=STATUS_SQL, candidate=_CANDIDATE, filter=condition)
    start = max(since, question.scope.start)  # the first step may begin before the range does
    return await connection.fetch(statement, start, question.scope.end, question.recent, *parameters)


def _as_points(question: ErrorQuestion, by_step: dict[datetime, int]) -> list[tuple[datetime, int]]:
    """Place errors on their steps; a step without any is 0. Those of the near future have steps, too."""
    steps = _find_steps(question)
    if steps is None:
        return []
    begins = steps.begins()
    begins += sorted(step for step in by_step if step >= steps.first + steps.count * steps.length)
    return [(begin, by_step.get(begin, 0)) for begin in begins]
