"""Measurements at one instant after the other, in order: each takes in what came since the last, and lets go what left.

Lines come as tallies of steps of which all windows consist. So an instant costs what changed, and what there is to say
of each group, however long the window is. The answers are those of the other measurers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from logstreamd.alerts.measure import MAX_GROUPS, Answer, Measurement
from logstreamd.alerts.measured import GroupTotal, Window, known_windows, measured_of, windows_of

__all__ = ["SlidingMeasurer", "StepTally"]


class StepTally(NamedTuple):
    """Lines of one group and value in one step; see :class:`~logstreamd.alerts.measured.Portion`."""

    group: tuple[str, ...]
    value: str
    step: datetime
    lines: int
    part: int
    last: datetime | None


@dataclass(slots=True)
class _Group:
    total: GroupTotal = field(default_factory=GroupTotal)
    values: Counter[str] = field(default_factory=Counter)


class SlidingMeasurer:
    """Answers for one rule.

    Args:
        step: how long the steps are; every window begins and ends with one.
        first_line: no stored line is earlier; None: there is none.

    Attributes:
        size: how many tallies are kept.
    """

    def __init__(self, step: timedelta, first_line: datetime | None) -> None:
        self._step = step
        self._first_line = first_line
        self._steps: dict[datetime, list[StepTally]] = defaultdict(list)
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._windows: list[Window] = []
        self.size = 0

    def add(self, tallies: Iterable[StepTally]) -> None:
        """Take in lines that are later than all windows so far."""
        for tally in tallies:
            self._steps[tally.step].append(tally)
            self.size += 1

    def measure(self, measurement: Measurement) -> Answer:
        """Answer a question: the same as the last time, at the same instant or at a later one."""
        windows = windows_of(measurement)
        before = self._windows or [(start, start) for start, _ in windows]
        for number, ((old_start, old_end), (start, end)) in enumerate(zip(before, windows, strict=True)):
            self._move(number, old_start, min(start, old_end), -1)
            self._move(number, max(start, old_end), end, 1)
        self._forget(before[-1][0], measurement.earliest)
        self._windows = windows
        return self._answer(measurement)

    def _move(self, number: int, start: datetime, end: datetime, sign: int) -> None:
        """Add (or, with -1, take away) what lies between two times to a window."""
        while start < end:
            for tally in self._steps.get(start, ()):
                self._count(tally, number, sign)
            start += self._step

    def _forget(self, start: datetime, end: datetime) -> None:
        while start < end:
            self.size -= len(self._steps.pop(start, ()))
            start += self._step

    def _count(self, tally: StepTally, number: int, sign: int) -> None:
        group, lines = self._groups.setdefault(tally.group, _Group()), sign * tally.lines
        total = group.total
        total.lines += lines
        total.part += sign * tally.part
        total.windows[number] += lines
        if tally.last is not None and sign > 0:
            total.last = tally.last  # steps come in order; what leaves is older, or the group goes with it
        if tally.value:
            group.values[tally.value] += lines
            if not group.values[tally.value]:
                del group.values[tally.value]
            total.values = len(group.values)
        if not total.lines:
            del self._groups[tally.group]

    def _answer(self, measurement: Measurement) -> Answer:
        known = known_windows(measurement, self._first_line)
        groups = self._groups if measurement.by or self._groups else {(): _Group()}
        measured = [measured_of(measurement, name, group.total, known) for name, group in groups.items()]
        if len(measured) <= MAX_GROUPS:
            return Answer(tuple(measured))
        measured.sort(key=lambda one: (-one.volume, one.group))
        return Answer(tuple(measured[:MAX_GROUPS]), cut=True)
