"""Lines that were found, in pieces → what was measured of each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from logstreamd.alerts.aggregate import Distinct, Lines, Measured, Share, Silence, Windows
from logstreamd.alerts.measure import MAX_GROUPS, Answer, Measurement
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.grouping import NOTHING
from logstreamd.query.tallies import Kind

__all__ = ["GroupTotal", "Portion", "Window", "answer_of", "kind_of", "known_windows", "measured_of", "windows_of"]

Window: TypeAlias = tuple[datetime, datetime]


class Portion(NamedTuple):
    """Some lines of a group.

    Attributes:
        window: in which of :func:`windows_of`.
        group: the values of the rule's keys.
        value: the one whose different values are counted; empty: none.
        lines: how many.
        part: how many of them pass the filter of a share.
        last: when the last one came, where a silence is measured.
    """

    window: int
    group: tuple[str, ...]
    value: str
    lines: int
    part: int
    last: datetime | None = None


@dataclass(slots=True)
class GroupTotal:
    """All that was found of a group.

    Attributes:
        windows: lines by the number of the window.
        values: how many different values.
    """

    lines: int = 0
    part: int = 0
    last: datetime | None = None
    values: int = 0
    windows: Counter[int] = field(default_factory=Counter)


def windows_of(measurement: Measurement) -> list[Window]:
    """Return the windows that are looked at; the measured one first, then those before it, newest first."""
    if not isinstance(measurement.aggregate, Windows):
        return [(measurement.earliest, measurement.end)]
    length = measurement.end - measurement.start
    ends = (measurement.end - length * back for back in range(measurement.aggregate.earlier + 1))
    return [(end - length, end) for end in ends]


def kind_of(measurement: Measurement) -> Kind:
    """Return what to count for a measurement."""
    aggregate = measurement.aggregate
    return Kind(
        measurement.filter,
        tuple(key.target for key in measurement.by),
        aggregate.part if isinstance(aggregate, Share) else EVERYTHING,
        aggregate.key.target if isinstance(aggregate, Distinct) else NOTHING,
    )


def answer_of(measurement: Measurement, portions: Iterable[Portion], first_line: datetime | None) -> Answer:
    """Put an answer together.

    Args:
        measurement: the question.
        portions: all lines that it is about, each in one of them.
        first_line: no stored line is earlier; None: there is none, or it is not asked for.
    """
    totals: dict[tuple[str, ...], GroupTotal] = {} if measurement.by else {(): GroupTotal()}
    values: set[tuple[tuple[str, ...], str]] = set()
    for window, group, value, lines, part, last in portions:
        total = totals.get(group)
        if total is None:
            total = totals[group] = GroupTotal()
        total.lines += lines
        total.part += part
        total.windows[window] += lines
        if last is not None and (total.last is None or last > total.last):
            total.last = last
        if value and (group, value) not in values:
            values.add((group, value))
            total.values += 1
    known = known_windows(measurement, first_line)
    measured = [measured_of(measurement, group, total, known) for group, total in totals.items()]
    measured.sort(key=lambda one: (-one.volume, one.group))
    return Answer(tuple(measured[:MAX_GROUPS]), cut=len(measured) > MAX_GROUPS)


def known_windows(measurement: Measurement, first_line: datetime | None) -> range:
    """Return the numbers of the earlier windows of which something is known: they began after the first stored line."""
    if first_line is None or not isinstance(measurement.aggregate, Windows):
        return range(0)
    windows = (measurement.start - max(first_line, measurement.earliest)) // (measurement.end - measurement.start)
    return range(1, max(0, windows) + 1)


def measured_of(
    measurement: Measurement, group: tuple[str, ...], total: GroupTotal, known: Iterable[int] = ()
) -> Measured:
    """Return what was measured of one group.

    Args:
        measurement: the question.
        group: the values of its keys.
        total: what was found.
        known: the windows before, as :func:`known_windows` returned them.
    """
    match measurement.aggregate:
        case Lines():
            return Measured(group, total.lines, total.lines)
        case Share():
            return Measured(group, total.part / total.lines if total.lines else 0.0, total.lines)
        case Distinct():
            return Measured(group, total.values, total.lines)
        case Silence(lookback):
            silence = lookback if total.last is None else measurement.end - total.last
            return Measured(group, silence.total_seconds(), total.lines)
        case Windows():
            lines = total.windows[0]
            return Measured(group, lines, lines, tuple(total.windows[number] for number in known))
