"""What is stored and what may be kept → what is to go, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from logstreamd.record import LEVELS
from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = [
    "Expired",
    "RetentionPolicy",
    "RetentionRule",
    "StoredDay",
    "begin_of",
    "choose_days",
    "plan_retention",
]

_SQL = load_queries("retention.sql")

_ONE_DAY = timedelta(days=1)
_COUNT_BYTES = 70
"""One row of ``folded_counts`` with its index entry: measured 67 with service names of ten characters."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Rows of some levels and services that go before their day does.

    Attributes:
        days: how old they may become.
        severities: of these severities.
        services: of these services; None for all, and for rows without one.
    """

    days: int
    severities: tuple[int, ...] = tuple(range(len(LEVELS)))
    services: tuple[str, ...] | None = None

    def cutoff(self, now: datetime) -> datetime:
        """Return the time before which rows go: a whole minute, as the counts are."""
        return (now - timedelta(days=self.days)).replace(second=0, microsecond=0)

    def __str__(self) -> str:
        levels = "" if len(self.severities) == len(LEVELS) else ", ".join(LEVELS[one] for one in self.severities)
        services = "" if self.services is None else f"of {', '.join(self.services)}"
        return " ".join(part for part in (levels, services, f"older than {_days(self.days)}") if part)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What may be kept.

    Attributes:
        days: whole days besides today; None for no limit.
        max_bytes: of rows, blocks and counts together; None for no limit.
        rules: what goes earlier.
    """

    days: int | None = None
    max_bytes: int | None = None
    rules: tuple[RetentionRule, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDay:
    """One UTC day as it is stored.

    Attributes:
        day: which one.
        rows: how many.
        byte_count: of its partition, its blocks and its counts, about.
    """

    day: date
    rows: int = 0
    byte_count: int = 0


@dataclass(frozen=True, slots=True)
class Expired:
    """What is to go of one day, or what went.

    Attributes:
        day: which one.
        rows: how many rows.
        byte_count: the disk that is free then; 0 when only some rows of the day go.
        why: for people.
        rule: by which rule, None for the whole day.
        span: the times between which the rows of a rule lie.
    """

    day: date
    rows: int
    byte_count: int
    why: str
    rule: RetentionRule | None = None
    span: tuple[datetime, datetime] | None = None


def begin_of(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime.combine(day, time(), UTC)


async def plan_retention(connection: Connection, policy: RetentionPolicy, now: datetime) -> list[Expired]:
    """Find out what is to go; changes nothing.

    Rows that several rules are about are listed for each of them.

    Args:
        connection: one that is in no transaction.
        policy: what may be kept.
        now: the time.
    """
    days = await _stored_days(connection)
    unplaced_bytes: int = await connection.fetchval(_SQL["unplaced_size"])
    if policy.max_bytes is not None:
        days = [await _with_counts(connection, day) for day in days]
    expired = choose_days(days, policy, now.astimezone(UTC).date(), unplaced_bytes)
    for stored in days[len(expired) :]:
        for rule in policy.rules:
            matching = await _matching(connection, stored.day, rule, now)
            if matching is not None:
                expired.append(matching)
    return expired


def choose_days(
    days: Sequence[StoredDay], policy: RetentionPolicy, today: date, unplaced_bytes: int = 0
) -> list[Expired]:
    """Choose the days that go as a whole: the first ones, up to what the policy demands and never today.

    Args:
        days: in order.
        policy: what may be kept.
        today: the UTC day.
        unplaced_bytes: disk that belongs to no day.
    """
    total = unplaced_bytes + sum(stored.byte_count for stored in days)
    expired = []
    for stored in days:
        if stored.day >= today:
            break
        if policy.days is not None and stored.day < today - timedelta(days=policy.days):
            why = f"older than {_days(policy.days)}"
        elif policy.max_bytes is not None and total > policy.max_bytes:
            why = f"{total:,} bytes are stored, {policy.max_bytes:,} may be"
        else:
            break
        total -= stored.byte_count
        expired.append(Expired(stored.day, stored.rows, stored.byte_count, why))
    return expired


async def _stored_days(connection: Connection) -> list[StoredDay]:
    days = {row["day"]: StoredDay(*row.values()) for row in await connection.fetch(_SQL["stored_days"])}
    for row in await connection.fetch(_SQL["partition_sizes"]):
        stored = days.get(row["day"], StoredDay(row["day"]))
        days[stored.day] = replace(stored, byte_count=stored.byte_count + row["byte_count"])
    return [days[day] for day in sorted(days)]


async def _with_counts(connection: Connection, stored: StoredDay) -> StoredDay:
    counts = await connection.fetchval(_SQL["folded_rows"], begin_of(stored.day), begin_of(stored.day + _ONE_DAY))
    return replace(stored, byte_count=stored.byte_count + counts * _COUNT_BYTES)


async def _matching(connection: Connection, day: date, rule: RetentionRule, now: datetime) -> Expired | None:
    begin, end = begin_of(day), min(begin_of(day + _ONE_DAY), rule.cutoff(now))
    if begin >= end:
        return None
    if rule.services is None:
        (found,) = await connection.fetch(_SQL["matching_totals"], begin, end, rule.severities)
    else:
        (found,) = await connection.fetch(_SQL["matching_counts"], begin, end, rule.severities, rule.services)
    if not found["rows"]:
        return None
    span = found["first"], found["last"] + timedelta(minutes=1)
    return Expired(day, found["rows"], 0, str(rule), rule, span)


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
