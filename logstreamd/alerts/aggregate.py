"""What is measured of a group of lines, and what comes back.

========== ========================================================= ==========================================
aggregate  looks at                                                  value
========== ========================================================= ==========================================
Lines      the window                                                lines
Share      the window                                                share of the lines that pass another filter
Distinct   the window                                                different values of a key
Silence    the look-back                                             seconds since the last line
Windows    the window and as many of its length before it            lines in the window, and in each before it
========== ========================================================= ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from logstreamd.alerts.group_key import GroupKey
from logstreamd.query.filter import Filter

__all__ = ["Aggregate", "Distinct", "Lines", "Measured", "Share", "Silence", "Windows"]


@dataclass(frozen=True, slots=True)
class Lines:
    """How many lines."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which share of the lines passes ``part`` as well, 0..1."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values; an empty one is none."""

    key: GroupKey


@dataclass(frozen=True, slots=True)
class Silence:
    """How long the last line is ago, of groups that had one within ``lookback``."""

    lookback: timedelta


@dataclass(frozen=True, slots=True)
class Windows:
    """How many lines, now and in the ``earlier`` windows of the same length before."""

    earlier: int


Aggregate: TypeAlias = Lines | Share | Distinct | Silence | Windows


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one group.

    Attributes:
        group: the values of the rule's keys, in the order of ``by``; see :meth:`GroupKey.value_in`.
        value: see the table above.
        volume: lines of the group that the value comes from.
        usual: for ``Windows`` the lines of each earlier window, newest first. Windows that begin before the first line
            that is stored at all are left out: nothing is known of them.
    """

    group: tuple[str, ...]
    value: float
    volume: int
    usual: tuple[int, ...] = ()
