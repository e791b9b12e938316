"""Which measurements the table ``log_counts`` can answer: lines by minute, service and severity."""

from __future__ import annotations

from datetime import datetime, timedelta

from logstreamd.alerts.aggregate import Distinct, Share, Silence
from logstreamd.alerts.group_key import GroupKey
from logstreamd.alerts.measure import Measurement
from logstreamd.query.filter import Filter
from logstreamd.query.filter.tree import (
    And,
    Column,
    Equals,
    Exists,
    LevelIs,
    Not,
    Or,
    Phrase,
    Prefix,
    Regex,
    StartsWith,
)

__all__ = ["answerable_by_counts", "asks_counts_only", "whole_minutes"]

_COUNTED_KEYS = ("service", "level")


def answerable_by_counts(measurement: Measurement) -> bool:
    """Tell whether counts by minute, service and severity hold the answer, for windows of whole minutes.

    A silence never is: within a minute nothing is known of when its last line came.
    """
    match measurement.aggregate:
        case Silence():
            return False
        case Share(part) if not asks_counts_only(part):
            return False
        case Distinct(key) if not _is_counted(key):
            return False
    return asks_counts_only(measurement.filter) and all(map(_is_counted, measurement.by))


def asks_counts_only(tree: Filter) -> bool:
    """Tell whether a filter looks at nothing but ``service`` and ``level``."""
    match tree:
        case And(terms) | Or(terms):
            return all(map(asks_counts_only, terms))
        case Not(term):
            return asks_counts_only(term)
        case LevelIs():
            return True
        case Phrase() | Prefix() | Regex() | Equals() | StartsWith() | Exists():
            return tree.target == Column("service")
    return False


def whole_minutes(start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
    """Return the part of a window that consists of whole minutes, or None when there is none.

    What remains at the two ends has to be counted in the rows themselves.
    """
    minute = timedelta(minutes=1)
    first = start.replace(second=0, microsecond=0)
    first += minute if first < start else timedelta()
    last = end.replace(second=0, microsecond=0)
    return (first, last) if first < last else None


def _is_counted(key: GroupKey) -> bool:
    return key.name in _COUNTED_KEYS
