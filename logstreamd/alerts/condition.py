"""Conditions: what a rule asks of each group's measurement, and whether it holds.

``str()`` of a condition is a text that :func:`~logstreamd.alerts.condition_text.read_condition` reads as the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from operator import eq, ge, gt, le, lt, ne
from types import MappingProxyType
from typing import Literal, TypeAlias

from logstreamd.alerts.aggregate import Aggregate, Distinct, Lines, Measured, Share, Silence, Windows
from logstreamd.alerts.group_key import GroupKey
from logstreamd.config.units import duration_text
from logstreamd.query.band import usual_band
from logstreamd.query.filter import Filter

__all__ = [
    "OPERATORS",
    "Absent",
    "Comparison",
    "Condition",
    "Count",
    "DistinctValues",
    "Operator",
    "Rate",
    "RateUnit",
    "Ratio",
    "Side",
    "Spike",
    "Verdict",
    "number_text",
]

Operator: TypeAlias = Literal[">", ">=", "<", "<=", "==", "!="]
RateUnit: TypeAlias = Literal["s", "m", "h"]
Side: TypeAlias = Literal["above", "below", "both"]

OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {">": gt, ">=": ge, "<": lt, "<=": le, "==": eq, "!=": ne}
)
_MIN_KNOWN_SHARE = 0.5
"""Of a spike's earlier windows; with less, the first lines after an installation would all be spikes."""

_UNIT_SECONDS: dict[RateUnit, int] = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition says of one group."""

    value: float
    """What ``$value`` is in templates."""
    holds: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with a number."""

    operator: Operator
    number: float

    def holds(self, value: float) -> bool:
        """Tell whether it is true of a value."""
        return OPERATORS[self.operator](value, self.number)

    def __str__(self) -> str:
        return f"{self.operator} {number_text(self.number)}"


@dataclass(frozen=True, slots=True)
class Count:
    """``count > 10``: lines in the window."""

    comparison: Comparison

    @property
    def aggregate(self) -> Aggregate:
        """What to measure."""
        return Lines()

    def judge(self, measured: Measured, over: timedelta) -> Verdict:
        """Tell whether the condition holds of a group, over a window of this length."""
        return Verdict(measured.value, self.comparison.holds(measured.value))

    def __str__(self) -> str:
        return f"count {self.comparison}"


@dataclass(frozen=True, slots=True)
class Rate:
    """``rate > 5/s``: lines per second, minute or hour, on average over the window."""

    comparison: Comparison
    unit: RateUnit

    @property
    def aggregate(self) -> Aggregate:
        """What to measure."""
        return Lines()

    def judge(self, measured: Measured, over: timedelta) -> Verdict:
        """Tell whether the condition holds of a group, over a window of this length."""
        value = measured.value * _UNIT_SECONDS[self.unit] / over.total_seconds()
        return Verdict(value, self.comparison.holds(value))

    def __str__(self) -> str:
        return f"rate {self.comparison}/{self.unit}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """``ratio(level>=error) > 0.05 and count >= 20``: the share of the lines that pass another filter as well.

    Groups with less than ``min_lines`` lines are not judged: one of two is no ratio.
    """

    part: Filter
    comparison: Comparison
    min_lines: int = 1

    @property
    def aggregate(self) -> Aggregate:
        """What to measure."""
        return Share(self.part)

    def judge(self, measured: Measured, over: timedelta) -> Verdict:
        """Tell whether the condition holds of a group, over a window of this length."""
        enough = measured.volume >= self.min_lines
        return Verdict(measured.value, enough and self.comparison.holds(measured.value))

    def __str__(self) -> str:
        enough = f" and count >= {self.min_lines}" if self.min_lines > 1 else ""
        return f"ratio({self.part}) {self.comparison}{enough}"


@dataclass(frozen=True, slots=True)
class DistinctValues:
    """``distinct(host) > 20``: different values of a key in the window."""

    key: GroupKey
    comparison: Comparison

    @property
    def aggregate(self) -> Aggregate:
        """What to measure."""
        return Distinct(self.key)

    def judge(self, measured: Measured, over: timedelta) -> Verdict:
        """Tell whether the condition holds of a group, over a window of this length."""
        return Verdict(measured.value, self.comparison.holds(measured.value))

    def __str__(self) -> str:
        return f"distinct({self.key.name}) {self.comparison}"


@dataclass(frozen=True, slots=True)
class Absent:
    """``absent``: no line in the window, from a group that had one within the look-back."""

    lookback: timedelta

    @property
    def aggregate(self) -> Aggregate:
        """What to measure."""
        return Silence(self.lookback)

    def judge(self, measured: Measured, over: timedelta) -> Verdict:
        """Tell whether the condition holds of a group; its value is the silence in seconds."""
        # A line exactly at the window's begin lies in it.
        return Verdict(measured.value, measured.value > over.total_seconds())

    def __str__(self) -> str:
        return f"absent(lookback={duration_text(self.lookback.total_seconds())})"


@dataclass(frozen=True, slots=True)
class Spike:
    """``spike``: the lines in the window lie outside the band of the windows before it.

    Attributes:
        factor: how many deviations wide the band is on each side.
        windows: how many windows before this one say what is usual.
        min_lines: a spike has at least as many lines; a slump had.
        side: where outside.
    """

    factor: float
    windows: int
    min_lines: int
    side: Side

    @property
    def aggregate(self) -> Aggregate:
        """What to measure."""
        return Windows(self.windows)

    def judge(self, measured: Measured, over: timedelta) -> Verdict:
        """Tell whether the condition holds of a group; never while too few windows are known."""
        value = measured.value
        if len(measured.usual) < self.windows * _MIN_KNOWN_SHARE:
            return Verdict(value, holds=False)
        band = usual_band(measured.usual, self.factor)
        above = self.side != "below" and value > band.high and value >= self.min_lines
        below = self.side != "above" and value < band.low and band.middle >= self.min_lines
        return Verdict(value, above or below)

    def __str__(self) -> str:
        return (
            f"spike(factor={number_text(self.factor)}, windows={self.windows}, min={self.min_lines}, side={self.side})"
        )


Condition: TypeAlias = Count | Rate | Ratio | DistinctValues | Absent | Spike


def number_text(number: float) -> str:
    """Write a number as people do: no exponent, no ``.0``, as many digits as it has."""
    text = f"{number:.15f}" if abs(number) < 1 else f"{number:.15g}"
    if "e" in text:
        return f"{number:.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
