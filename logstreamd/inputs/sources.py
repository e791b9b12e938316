"""One sender at one input: what it may still send, and what was kept from it.

A *gate* is where the datagrams of one sender come in. There are three: of a sender with limits (:class:`Source`), of
one without (:data:`UNLIMITED`), and of one that the allow-list does not have (:class:`Refused`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import inf

from prometheus_client import Counter

__all__ = ["UNLIMITED", "Gate", "Limits", "Refused", "Source"]


class Limits:
    """The limits in force for every source of an input, and what they did.

    Attributes:
        records_per_second: of one source; 0 for no limit.
        bytes_per_second: the same.
        cut_datagrams: datagrams over a limit that are not in the ledger yet.
        refused_datagrams: datagrams that are not allowed, likewise.
    """

    __slots__ = (
        "bytes_per_second",
        "clock",
        "cut_datagrams",
        "records_per_second",
        "refused_datagrams",
        "slowed_seconds",
    )

    def __init__(self, clock: Callable[[], float], slowed_seconds: Counter) -> None:
        self.clock = clock
        self.slowed_seconds = slowed_seconds
        self.records_per_second = 0
        self.bytes_per_second = 0
        self.cut_datagrams = 0
        self.refused_datagrams = 0


class Gate(ABC):
    """Lets the datagrams of one sender in, or cuts them.

    Whoever reads many at once asks for the allowance once, and settles it when they are read.
    """

    __slots__ = ()

    @abstractmethod
    def allowance(self) -> tuple[float, float]:
        """Return how many records and bytes the sender may send now; infinite where there is no limit."""

    @abstractmethod
    def settle(self, records: int, byte_count: int, cut_records: int, cut_bytes: int) -> None:
        """Take note of what was let in and of what was cut.

        Args:
            records: let in, within the allowance.
            byte_count: of those.
            cut_records: left out.
            cut_bytes: of those.
        """

    def try_take(self, byte_count: int) -> bool:
        """Let one datagram in, or cut it and count it."""
        records, nbytes = self.allowance()
        taken = records >= 1 and nbytes >= byte_count
        if taken:
            self.settle(1, byte_count, 0, 0)
        else:
            self.settle(0, 0, 1, byte_count)
        return taken


class _Unlimited(Gate):
    __slots__ = ()

    def allowance(self) -> tuple[float, float]:
        return inf, inf

    def settle(self, records: int, byte_count: int, cut_records: int, cut_bytes: int) -> None:
        pass


UNLIMITED: Gate = _Unlimited()
"""Everything comes in."""


class Refused(Gate):
    """Nothing comes in.

    Attributes:
        number: datagrams, connections and requests so far.
    """

    __slots__ = ("_limits", "number")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.number = 0

    def allowance(self) -> tuple[float, float]:
        """Return that it may send nothing."""
        return 0.0, 0.0

    def settle(self, records: int, byte_count: int, cut_records: int, cut_bytes: int) -> None:
        """Count what was left out."""
        self.number += cut_records
        self._limits.refused_datagrams += cut_records


class Source(Gate):
    """Two token buckets, one for records and one for bytes.

    A bucket holds one second's worth: the unit in which the limit is written, so that no second brings more than twice
    the number an operator wrote down, and an application that prints a stack trace is not cut for it.

    Attributes:
        cut_records: datagrams over the limit so far.
        cut_bytes: their bytes.
        slowed_seconds: how long its streams were not read, and its requests were told to wait.
    """

    __slots__ = ("_at", "_bytes", "_limits", "_records", "cut_bytes", "cut_records", "slowed_seconds")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.cut_records = 0
        self.cut_bytes = 0
        self.slowed_seconds = 0.0
        self.fill()

    def fill(self) -> None:
        """Begin with full buckets."""
        self._records = float(self._limits.records_per_second)
        self._bytes = float(self._limits.bytes_per_second)
        self._at = self._limits.clock()

    def _refill(self) -> None:
        limits = self._limits
        now = limits.clock()
        passed, self._at = now - self._at, now
        self._records = min(limits.records_per_second, self._records + passed * limits.records_per_second)
        self._bytes = min(limits.bytes_per_second, self._bytes + passed * limits.bytes_per_second)

    def allowance(self) -> tuple[float, float]:
        """Return what is in the buckets now."""
        self._refill()
        limits = self._limits
        return self._records if limits.records_per_second else inf, self._bytes if limits.bytes_per_second else inf

    def settle(self, records: int, byte_count: int, cut_records: int, cut_bytes: int) -> None:
        """Take what was let in out of the buckets, and count what was cut."""
        self._records -= records
        self._bytes -= byte_count
        self.cut_records += cut_records
        self.cut_bytes += cut_bytes
        self._limits.cut_datagrams += cut_records

    def charge(self, records: int, byte_count: int) -> None:
        """Take out what was let in although there may be less: what is missing is a debt."""
        self._refill()
        self._records -= records
        self._bytes -= byte_count

    def owed_seconds(self, records: int, byte_count: int) -> float:
        """Charge what a stream brought, and return for how long it must not be read.

        Args:
            records: since the last call; 0 to ask whether a debt is left.
            byte_count: the same.

        Returns:
            Seconds until the debt is paid, 0.0 when there is none; counted as slowed.
        """
        self.charge(records, byte_count)
        limits = self._limits
        owed = 0.0
        if limits.records_per_second:
            owed = -self._records / limits.records_per_second
        if limits.bytes_per_second:
            owed = max(owed, -self._bytes / limits.bytes_per_second)
        if owed <= 0.0:
            return 0.0
        self.slowed_seconds += owed
        limits.slowed_seconds.inc(owed)
        return owed
