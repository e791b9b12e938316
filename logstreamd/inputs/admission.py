"""Who may send to an input, and how much: asked before anything is parsed.

An allow-list says who. Limits say how much each *source* may send in a second, in records and in bytes: a token bucket
for each of the two. What is over the limit is *cut* where a sender can't be made to wait (datagrams), and *slowed*
where it can: a stream's reader pauses until the debt is paid, an HTTP client is told when to come again.

A source is an address. One IPv6 host can have as many addresses of its /64 as it likes, so a limit per address does
not hold against one that means harm; but the servers of one rack are neighbours in one /64 just as often, and with one
bucket for all of them a flood from one would cut the others, which is what limits are there to prevent. A sender that
makes up addresses is none for limits but for the allow-list and the firewall; here it meets bounded memory.

Bounds: :data:`MAX_SOURCES` sources are remembered, the one that was silent longest is forgotten first and begins anew
with full buckets; and as many refused ones as :data:`MAX_REFUSED`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from math import inf

from logstreamd.inputs.addresses import peer_address
from logstreamd.inputs.networks import Networks
from logstreamd.metrics import Metrics

__all__ = ["MAX_REFUSED", "MAX_SOURCES", "TOP_SOURCES", "Admission", "Source", "TopSource"]

MAX_SOURCES = 16_384
"""Sources remembered: 300 bytes each, 5 MiB in all. More senders than that have no business at one input, and one that
is forgotten only gains the second's worth that its new bucket holds."""

MAX_REFUSED = 1_000
"""Refused sources remembered. A scan from made-up addresses pushes out those that have stopped, and only them."""

TOP_SOURCES = 100
"""Sources that ``/status`` shows: what a person reads."""


@dataclass(frozen=True, slots=True)
class TopSource:
    """What was kept from one source since it is remembered.

    Attributes:
        source: its address; ``uid 1000`` on a Unix socket.
        refused: datagrams, connections or requests that the allow-list did not let in.
        cut_records: datagrams over its limit.
        cut_bytes: their bytes.
        slowed_seconds: how long its streams were not read, and its requests were told to wait.
    """

    source: str
    refused: int = 0
    cut_records: int = 0
    cut_bytes: int = 0
    slowed_seconds: float = 0.0

    @property
    def weight(self) -> tuple[int, float]:
        """What the list is sorted by."""
        return self.cut_records + self.refused, self.slowed_seconds


class Source:
    """One sender's two token buckets: made by :meth:`Admission.source`, which keeps their settings up to date.

    A bucket holds one second's worth: the unit in which the limit is written, so that a second never brings more than
    twice the number that an operator wrote down, and an application that prints its stack trace is not cut for it.
    """

    __slots__ = ("_at", "_bytes", "_owner", "_records", "cut_bytes", "cut_records", "slowed_seconds")

    def __init__(self, owner: Admission) -> None:
        self._owner = owner
        self._records = owner.records_per_second
        self._bytes = owner.bytes_per_second
        self._at = owner.clock()
        self.cut_records = 0
        self.cut_bytes = 0
        self.slowed_seconds = 0.0

    def _refill(self) -> None:
        owner = self._owner
        now = owner.clock()
        passed, self._at = now - self._at, now
        self._records = min(owner.records_per_second, self._records + passed * owner.records_per_second)
        self._bytes = min(owner.bytes_per_second, self._bytes + passed * owner.bytes_per_second)

    def allowance(self) -> tuple[float, float]:
        """Return how many records and bytes it may send now; infinite where there is no limit."""
        self._refill()
        owner = self._owner
        return self._records if owner.records_per_second else inf, self._bytes if owner.bytes_per_second else inf

    def try_take(self, byte_count: int) -> bool:
        """Let one datagram in, or cut it and count it."""
        records, nbytes = self.allowance()
        taken = records >= 1 and nbytes >= byte_count
        if taken:
            self.settle(1, byte_count)
        else:
            self.settle(0, 0, cut_records=1, cut_bytes=byte_count)
        return taken

    def settle(self, records: int, byte_count: int, *, cut_records: int = 0, cut_bytes: int = 0) -> None:
        """Take off what was let in, and count what was cut; the caller has looked at :meth:`allowance`."""
        self._records -= records
        self._bytes -= byte_count
        if cut_records:
            self.cut_records += cut_records
            self.cut_bytes += cut_bytes
            self._owner.cut_records += cut_records

    def charge(self, records: int, byte_count: int) -> None:
        """Take off what was let in although there may be less: what is missing is a debt."""
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
        owner = self._owner
        owed = 0.0
        if owner.records_per_second:
            owed = -self._records / owner.records_per_second
        if owner.bytes_per_second:
            owed = max(owed, -self._bytes / owner.bytes_per_second)
        if owed <= 0.0:
            return 0.0
        self.slowed_seconds += owed
        owner.count_slowed(owed)
        return owed


class Admission:
    """Who may send to one input, and how much.

    Args:
        name: the input's name.
        metrics: told the sums; who it was is only in :meth:`top`.
        allow: networks and addresses that may send; empty for everybody.
        max_records_per_second: of one source; 0 for no limit.
        max_bytes_per_second: of one source, as they arrive; 0 for no limit.
        clock: seconds that only grow.

    Attributes:
        records_per_second: the limit in force, 0 for none.
        bytes_per_second: the same.
        cut_records: datagrams cut that :meth:`take_dropped` has not been asked for yet.
    """

    def __init__(
        self,
        name: str,
        metrics: Metrics,
        *,
        allow: Iterable[str] = (),
        max_records_per_second: int = 0,
        max_bytes_per_second: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.cut_records = 0
        self._refused_datagrams = 0
        self._received_frames = metrics.received_frames.labels(name)
        self._rate_limited = metrics.dropped_frames.labels(name, "rate_limited")
        self._not_allowed = metrics.dropped_frames.labels(name, "not_allowed")
        self._denied_connections = metrics.denied_connections.labels(name)
        self._slowed_seconds = metrics.slowed_seconds.labels(name)
        self._sources: OrderedDict[str, Source] = OrderedDict()
        self._refused: OrderedDict[str, int] = OrderedDict()
        self.apply(
            allow=allow,
            max_records_per_second=max_records_per_second,
            max_bytes_per_second=max_bytes_per_second,
        )

    def apply(self, *, allow: Iterable[str], max_records_per_second: int, max_bytes_per_second: int) -> None:
        """Take new settings; sources keep what they have in their buckets, and their counts."""
        allowed = tuple(allow)
        self._networks = Networks(allowed) if allowed else None
        self.records_per_second = max_records_per_second
        self.bytes_per_second = max_bytes_per_second

    @property
    def limited(self) -> bool:
        """Whether there are limits."""
        return bool(self.records_per_second or self.bytes_per_second)

    @property
    def restricts(self) -> bool:
        """Whether anybody may be turned away or slowed at all; else nothing needs to be asked."""
        return self._networks is not None or self.limited

    def allows(self, address: str) -> bool:
        """Whether the allow-list has an address; asking counts nothing."""
        return self._networks is None or address in self._networks

    def admits(self, address: str) -> bool:
        """Whether a connection or a request from an address may come in; one that may not is counted by its source."""
        if self.allows(address):
            return True
        self._denied_connections.inc()
        self._count_refused(address, 1)
        return False

    def refuse_datagrams(self, address: str, datagrams: int) -> None:
        """Count datagrams of a sender that is not allowed."""
        self._refused_datagrams += datagrams
        self._count_refused(address, datagrams)

    def _count_refused(self, address: str, number: int) -> None:
        key = peer_address(address)
        self._refused[key] = self._refused.pop(key, 0) + number
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def source(self, address: str) -> Source | None:
        """Return the buckets of a sender, None when nothing is limited; asked at every read.

        Args:
            address: its IP address, or ``uid 1000``.
        """
        return self.source_named(peer_address(address)) if self.limited else None

    def source_named(self, name: str) -> Source:
        """Return the buckets of a sender by the name it is counted under."""
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = Source(self)
            if len(self._sources) > MAX_SOURCES:
                self._sources.popitem(last=False)
        else:
            self._sources.move_to_end(name)
        return source

    def count_slowed(self, seconds: float) -> None:
        """Take note that a stream is not read for so long."""
        self._slowed_seconds.inc(seconds)

    def take_dropped(self) -> int:
        """Enter the datagrams turned away since the last call into the ledger: received, and dropped.

        Returns:
            How many there were.
        """
        cut, self.cut_records = self.cut_records, 0
        refused, self._refused_datagrams = self._refused_datagrams, 0
        if cut:
            self._rate_limited.inc(cut)
        if refused:
            self._not_allowed.inc(refused)
        if cut or refused:
            self._received_frames.inc(cut + refused)
        return cut + refused

    def top(self) -> list[dict[str, str | int | float]]:
        """Return the sources from which most was kept, for ``/status``; at most :data:`TOP_SOURCES`."""
        found = [TopSource(name, refused=number) for name, number in self._refused.items()]
        found += [
            TopSource(name, 0, one.cut_records, one.cut_bytes, round(one.slowed_seconds, 3))
            for name, one in self._sources.items()
            if one.cut_records or one.slowed_seconds
        ]
        found.sort(key=lambda one: one.weight, reverse=True)
        return [asdict(one) for one in found[:TOP_SOURCES]]
