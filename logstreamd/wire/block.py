"""What a batch is about, gathered while it is encoded: its blocks and its counts.

A :class:`Block` describes the rows of one batch on one UTC day, so that a search can tell whether it has to read them.
A :class:`Count` says how many rows of one minute have one service and one severity. Both are stored with the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from logstreamd.record import LEVELS, Record
from logstreamd.wire.attribute_text import attribute_texts
from logstreamd.wire.bloom import build_bloom, token_hash
from logstreamd.wire.tokens import tokens

__all__ = ["DAY_US", "MAX_NAMES", "MINUTE_US", "Block", "Count", "Survey", "in_order", "listed", "without_rows"]

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
MAX_NAMES = 256
"""Services or hosts a block lists. A longer list rules little out, and what hostile senders can put in is bounded."""


class Count(NamedTuple):
    """Rows of one minute, service and severity.

    Attributes:
        minute: minutes since the epoch.
    """

    minute: int
    service: str | None
    severity: int
    rows: int


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one batch on one day.

    Attributes:
        day: days since the epoch (UTC).
        first_id: the lowest id among them; rows of other days may lie between.
        last_id: the highest.
        ts_min: the earliest event time, microseconds since the epoch.
        ts_max: the latest.
        severity_counts: how many rows have severity 0, 1, … 7.
        services: the different ones in order; None when they are more than :data:`MAX_NAMES`.
        hosts: the same of hosts.
        bloom: see :mod:`.bloom`; the tokens of message, service, host, trace_id and every value in attrs.
    """

    day: int
    first_id: int
    last_id: int
    ts_min: int
    ts_max: int
    severity_counts: tuple[int, ...]
    services: tuple[str, ...] | None
    hosts: tuple[str, ...] | None
    bloom: bytes

    @property
    def row_count(self) -> int:
        """How many rows they are."""
        return sum(self.severity_counts)


@dataclass(slots=True)
class _Day:
    """What is known of the rows of one day so far."""

    first_id: int
    last_id: int
    ts_min: int
    ts_max: int
    severity_counts: list[int] = field(default_factory=lambda: [0] * len(LEVELS))
    services: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)


class Survey:
    """Looks at one record after the other and remembers what blocks and counts need."""

    def __init__(self) -> None:
        self._days: dict[int, _Day] = {}
        self._counts: Counter[tuple[int, str | None, int]] = Counter()

    def add(self, row_id: int, record: Record) -> None:
        """Look at one more record."""
        self._counts[record.ts // MINUTE_US, record.service, record.severity] += 1
        number = record.ts // DAY_US
        day = self._days.get(number)
        if day is None:
            day = self._days[number] = _Day(row_id, row_id, record.ts, record.ts)
        day.first_id = min(day.first_id, row_id)
        day.last_id = max(day.last_id, row_id)
        day.ts_min = min(day.ts_min, record.ts)
        day.ts_max = max(day.ts_max, record.ts)
        day.severity_counts[record.severity] += 1
        for name, names in ((record.service, day.services), (record.host, day.hosts)):
            if name is not None and len(names) <= MAX_NAMES:
                names.add(name)
        for text in (record.message, record.service, record.host, record.trace_id, *attribute_texts(record.attrs)):
            if text:
                day.tokens.update(tokens(text))

    def blocks(self) -> tuple[Block, ...]:
        """Return a block for each day, in the order of the days."""
        return tuple(
            Block(
                number,
                day.first_id,
                day.last_id,
                day.ts_min,
                day.ts_max,
                tuple(day.severity_counts),
                listed(day.services),
                listed(day.hosts),
                build_bloom({token_hash(token) for token in day.tokens}, sum(day.severity_counts)),
            )
            for number, day in sorted(self._days.items())
        )

    def counts(self) -> tuple[Count, ...]:
        """Return the counts in order."""
        return in_order(Count(*key, rows) for key, rows in self._counts.items())


def in_order(counts: Iterable[Count]) -> tuple[Count, ...]:
    """Sort counts by minute, service (none first) and severity."""
    return tuple(sorted(counts, key=_minute_service_severity))


def _minute_service_severity(count: Count) -> tuple[int, bool, str, int]:
    return count.minute, count.service is not None, count.service or "", count.severity


def listed(names: Collection[str]) -> tuple[str, ...] | None:
    """Return different names as a block lists them."""
    return None if len(names) > MAX_NAMES else tuple(sorted(names))


def without_rows(
    blocks: Iterable[Block], counts: Iterable[Count], gone: Iterable[tuple[int, str | None, int]]
) -> tuple[tuple[Block, ...], tuple[Count, ...]]:
    """Take rows off that were not stored.

    Args:
        blocks: of all rows.
        counts: of all rows.
        gone: the time (microseconds since the epoch), service and severity of each that is to go.

    Returns:
        Blocks and counts without them; those of nothing are left out. Times, names and tokens stay as they were.
    """
    rows = list(gone)
    by_count = Counter((ts // MINUTE_US, service, severity) for ts, service, severity in rows)
    by_day = Counter((ts // DAY_US, severity) for ts, _, severity in rows)
    left = (
        replace(
            block,
            severity_counts=tuple(
                rows - by_day[block.day, severity] for severity, rows in enumerate(block.severity_counts)
            ),
        )
        for block in blocks
    )
    fewer = (count._replace(rows=count.rows - by_count[count[:3]]) for count in counts)
    return tuple(block for block in left if block.row_count), tuple(count for count in fewer if count.rows)
