"""Minutes in which a service had more errors than usual, from the exact counts."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from logstreamd.query.database import Database
from logstreamd.query.deadline import Deadline
from logstreamd.query.durations import read_duration, within_window
from logstreamd.query.errors import BadParameterError
from logstreamd.query.filter import to_sql
from logstreamd.query.parameters import Values, collect, read_count
from logstreamd.query.scope import LATEST, Scope, read_scope
from logstreamd.query.spike_band import MIN_BASELINE_MINUTES, ErrorMinutes, Sought, Spike, find_spikes
from logstreamd.query.steps import MINUTE, ceil_to, floor_to
from logstreamd.query.templates import fill
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["SpikeQuestion", "SpikeReader", "Spikes", "parse_spikes"]

_SQL = load_queries("spikes.sql", package="logstreamd.query")
_ONCE = ("start", "end", "window", "baseline", "sensitivity", "min_count", "limit")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MAX_SERVICES = 100  # with a day of minutes each that is 144,000 numbers, and half a second
# Four standard deviations: by chance one minute in 30,000.
_DEFAULT_SENSITIVITY, _SENSITIVITIES = 4.0, (1.0, 100.0)
_DEFAULT_MIN_COUNT, _MAX_MIN_COUNT = 10, 10_000_000
_DEFAULT_SPIKES, _MAX_SPIKES = 100, 1_000
_DECIMAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class SpikeQuestion:
    """A question for spikes.

    Attributes:
        scope: which services, and in which whole minutes.
        baseline: how much time before a minute makes its band.
        sensitivity: how many spreads wide the band is to each side.
        min_count: errors at least.
        limit: spikes at most; the newest.
    """

    scope: Scope
    baseline: timedelta = _HOUR
    sensitivity: float = _DEFAULT_SENSITIVITY
    min_count: int = _DEFAULT_MIN_COUNT
    limit: int = _DEFAULT_SPIKES


@dataclass(frozen=True, slots=True)
class Spikes:
    """An answer.

    Attributes:
        spikes: newest first.
        more: how many older ones there are.
        took_ms: time in the database and around it.
    """

    spikes: list[Spike]
    more: int
    took_ms: float


def parse_spikes(given: Iterable[tuple[str, str]], *, now: datetime) -> SpikeQuestion:
    """Read the parameters of a question.

    Args:
        given: names and values, as the query string has them.
        now: the present.

    Raises:
        BadParameterError: an unknown name, or a value that is not what the name takes.
    """
    values = collect(given, ("service", *_ONCE), once=_ONCE)
    scope = within_window(read_scope(values, now=now), values, now=now, default=_HOUR, at_most=_DAY)
    start, end = floor_to(MINUTE, scope.start), ceil_to(MINUTE, now if scope.end == LATEST else scope.end)
    if end - start > _DAY + MINUTE:
        raise BadParameterError("start", f"must be at most a day before end (got {start.isoformat()})")
    least = MIN_BASELINE_MINUTES * MINUTE
    baseline = read_duration(values, "baseline", at_least=least, at_most=_DAY) or _HOUR
    return SpikeQuestion(
        scope=Scope(start, end, scope.filter),
        baseline=baseline,
        sensitivity=_read_sensitivity(values),
        min_count=read_count(values, "min_count", default=_DEFAULT_MIN_COUNT, at_most=_MAX_MIN_COUNT),
        limit=read_count(values, "limit", default=_DEFAULT_SPIKES, at_most=_MAX_SPIKES),
    )


def _read_sensitivity(values: Values) -> float:
    if "sensitivity" not in values:
        return _DEFAULT_SENSITIVITY
    text = values["sensitivity"][0]
    least, most = _SENSITIVITIES
    if _DECIMAL.fullmatch(text) and least <= float(text) <= most:
        return float(text)
    raise BadParameterError("sensitivity", f"must be a number {least:g}..{most:g} (got {text!r})")


class SpikeReader:
    """Looks for spikes.

    Args:
        database: where the counts are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spikes(self, question: SpikeQuestion) -> Spikes:
        """Look.

        Raises:
            TooManyQueriesError: too many run already.
            QueryTimeoutError: the time for a question is over.
            UnavailableError: PostgreSQL can't be reached.
        """
        started = time.perf_counter()
        with self._database.question():
            async with self._database.reading() as connection:
                await Deadline(self._database.timeout_seconds).hold(connection)
                services, first = await _read_minutes(connection, question)
            sought = Sought(
                first=first,
                start=question.scope.start,
                end=question.scope.end,
                baseline_minutes=question.baseline // MINUTE,
                sensitivity=question.sensitivity,
                min_count=question.min_count,
            )
            found = await asyncio.to_thread(find_spikes, services, sought) if services else []
        more = max(0, len(found) - question.limit)
        return Spikes(found[: question.limit], more, round((time.perf_counter() - started) * 1_000, 3))


async def _read_minutes(connection: Connection, question: SpikeQuestion) -> tuple[list[ErrorMinutes], datetime]:
    """Return the errors of services that may have spikes, and from which minute on they are known."""
    scope = question.scope
    first = scope.start - question.baseline
    stored = await connection.fetchval(_SQL["first_minute"])
    if stored is None:
        return [], first
    first = max(first, stored)
    condition, parameters = to_sql(scope.filter, 6)
    statement = fill(_SQL["error_minutes"], filter=condition)
    rows = await connection.fetch(
        statement, first, scope.start, scope.end, question.min_count, _MAX_SERVICES, *parameters
    )
    return [ErrorMinutes(row["service"], row["minutes"], row["errors"]) for row in rows], first
