"""The steps of a histogram: aligned to the epoch, the same for all its series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from logstreamd.query.errors import BadParameterError

__all__ = ["MAX_STEPS", "MINUTE", "Steps", "ceil_to", "floor_to", "steps_between"]

MINUTE = timedelta(minutes=1)
MAX_STEPS = 11_000
"""Of one series: a week in minutes, and more than a screen has columns. Prometheus and Loki draw the line here, too."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Steps:
    """Stretches of time of the same length, one after the other.

    Attributes:
        first: begin of the first one.
        length: of each.
        count: how many they are.
    """

    first: datetime
    length: timedelta
    count: int

    def begins(self) -> list[datetime]:
        """Return when each begins."""
        return [self.first + number * self.length for number in range(self.count)]


def floor_to(length: timedelta, time: datetime) -> datetime:
    """Return the begin of the step, counted from the epoch, that a time lies in."""
    return time - (time - _EPOCH) % length


def ceil_to(length: timedelta, time: datetime) -> datetime:
    """Return the begin of the first step that does not begin before a time."""
    return time + -(time - _EPOCH) % length


def steps_between(start: datetime, end: datetime, length: timedelta) -> Steps:
    """Return the steps that hold the times from ``start`` on and before ``end``.

    Raises:
        BadParameterError: they are more than :data:`MAX_STEPS`.
    """
    first = floor_to(length, start)
    count = max(0, -((first - end) // length))
    if count > MAX_STEPS:
        longest = f"{start.isoformat()} to {end.isoformat()}"
        raise BadParameterError("step", f"must make at most {MAX_STEPS} steps ({longest} makes {count})")
    return Steps(first, length, count)
