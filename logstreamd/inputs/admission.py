"""Who may send to an input, and how much: asked before anything is parsed.

An allow-list says who. Limits say how much each *source* may send in a second, in records and in bytes: a token bucket
for each of the two. What is over the limit is *cut* where a sender can't be made to wait (datagrams), and *slowed*
where it can: a stream is not read until its debt is paid, an HTTP client is told when to come again.

A source is an address. One IPv6 host can have as many addresses of its /64 as it likes, so a limit per address does
not hold against one that means harm; but the servers of one rack are neighbours in one /64 just as often, and with one
bucket for all of them a flood from one would cut the others, which is what limits are there to prevent. Whoever makes
up addresses is a matter for the allow-list and the firewall; here it meets bounded memory.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import structlog

from logstreamd.config.admission import AdmissionSection, LimitsSection
from logstreamd.inputs.addresses import peer_address
from logstreamd.inputs.networks import Networks
from logstreamd.inputs.sources import UNLIMITED, Gate, Limits, Refused, Source
from logstreamd.metrics import Metrics

__all__ = ["MAX_REFUSED", "MAX_SOURCES", "TOP_SOURCES", "Admission", "Source", "TopSource", "admission_settings"]

_log = structlog.get_logger(__name__)
_QUIET_SECONDS = 60.0

MAX_SOURCES = 16_384
"""Sources remembered: 300 bytes each, 5 MiB in all. More senders than that one input does not have. The one that was
silent longest is forgotten first; when it comes again it gains what a full bucket holds, one second's worth."""

MAX_REFUSED = 1_000
"""Refused senders remembered. A flood from made-up addresses pushes out those that have stopped, and only them."""

TOP_SOURCES = 100
"""Senders that ``/status`` shows: what a person reads."""


@dataclass(frozen=True, slots=True)
class TopSource:
    """What was kept from one sender since it is remembered.

    Attributes:
        source: its address; ``uid 1000`` on a Unix socket.
        refused: datagrams, connections and requests that the allow-list did not let in.
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


def admission_settings(config: LimitsSection) -> dict[str, Any]:
    """Return what a listener's settings say to its :class:`Admission`."""
    return {
        "allow": config.allow if isinstance(config, AdmissionSection) else (),
        "max_records_per_second": config.max_records_per_second,
        "max_bytes_per_second": config.max_bytes_per_second,
    }


class Admission:
    """Who may send to one input, and how much.

    Args:
        name: the input's name.
        metrics: told the sums; who it was is only in :meth:`top`.
        allow: networks and addresses that may send; empty for everybody.
        max_records_per_second: of one source; 0 for no limit.
        max_bytes_per_second: of one source, as they arrive; 0 for no limit.
        clock: seconds that only grow.
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
        self._name = name
        self._clock = clock
        self._told_at = -_QUIET_SECONDS
        self._untold = [0, 0]  # datagrams cut, and refused, since the last line of the log
        self._received_frames = metrics.received_frames.labels(name)
        self._rate_limited = metrics.dropped_frames.labels(name, "rate_limited")
        self._not_allowed = metrics.dropped_frames.labels(name, "not_allowed")
        self._denied_connections = metrics.denied_connections.labels(name)
        self._limits = Limits(clock, metrics.slowed_seconds.labels(name))
        self._sources: OrderedDict[str, Source] = OrderedDict()
        self._refused: OrderedDict[str, Refused] = OrderedDict()
        self.apply(
            allow=allow,
            max_records_per_second=max_records_per_second,
            max_bytes_per_second=max_bytes_per_second,
        )

    def apply(self, *, allow: Iterable[str], max_records_per_second: int, max_bytes_per_second: int) -> None:
        """Take new settings; with new limits every source begins with full buckets, and keeps its counts."""
        allowed = tuple(allow)
        self._networks = Networks(allowed) if allowed else None
        limits = self._limits
        if (limits.records_per_second, limits.bytes_per_second) != (max_records_per_second, max_bytes_per_second):
            limits.records_per_second = max_records_per_second
            limits.bytes_per_second = max_bytes_per_second
            for source in self._sources.values():
                source.fill()

    @property
    def limited(self) -> bool:
        """Whether there are limits."""
        return bool(self._limits.records_per_second or self._limits.bytes_per_second)

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
        self._refusal(address).number += 1
        return False

    def source(self, address: str) -> Source | None:
        """Return the buckets of a sender, None when nothing is limited; to be asked at every read.

        Args:
            address: its IP address, or ``uid 1000``.
        """
        if not self.limited:
            return None
        return _remembered(self._sources, peer_address(address), MAX_SOURCES, lambda: Source(self._limits))

    def gate(self, address: str) -> Gate:
        """Return where the datagrams of a sender come in."""
        if not self.allows(address):
            return self._refusal(address)
        return self.source(address) or UNLIMITED

    def _refusal(self, address: str) -> Refused:
        return _remembered(self._refused, peer_address(address), MAX_REFUSED, lambda: Refused(self._limits))

    def take_dropped(self) -> int:
        """Enter the datagrams left out since the last call into the ledger: received, and dropped.

        Returns:
            How many there were.
        """
        limits = self._limits
        cut, limits.cut_datagrams = limits.cut_datagrams, 0
        refused, limits.refused_datagrams = limits.refused_datagrams, 0
        if cut:
            self._rate_limited.inc(cut)
        if refused:
            self._not_allowed.inc(refused)
        if cut or refused:
            self._received_frames.inc(cut + refused)
            self._tell(cut, refused)
        return cut + refused

    def _tell(self, cut: int, refused: int) -> None:
        """Say in the log that datagrams are dropped: at once, and from then on once a minute."""
        self._untold[0] += cut
        self._untold[1] += refused
        now = self._clock()
        if now - self._told_at < _QUIET_SECONDS:
            return
        cut, refused = self._untold
        self._told_at, self._untold = now, [0, 0]
        top = self.top()
        _log.warning(
            "datagrams dropped; /status says whose",
            input=self._name,
            rate_limited=cut,
            not_allowed=refused,
            most_from=top[0]["source"] if top else None,
        )

    def top(self) -> list[dict[str, str | int | float]]:
        """Return the senders from which most was kept, for ``/status``; at most :data:`TOP_SOURCES`."""
        found = [TopSource(name, refused=one.number) for name, one in self._refused.items()]
        found += [
            TopSource(name, 0, one.cut_records, one.cut_bytes, round(one.slowed_seconds, 3))
            for name, one in self._sources.items()
            if one.cut_records or one.slowed_seconds
        ]
        found.sort(key=lambda one: one.weight, reverse=True)
        return [asdict(one) for one in found[:TOP_SOURCES]]


_Sender = TypeVar("_Sender", Source, Refused)


def _remembered(senders: OrderedDict[str, _Sender], name: str, most: int, new: Callable[[], _Sender]) -> _Sender:
    """Return a sender and note that it was heard of just now; who was not for the longest time is forgotten."""
    found = senders.get(name)
    if found is not None:
        senders.move_to_end(name)
        return found
    found = senders[name] = new()
    if len(senders) > most:
        senders.popitem(last=False)
    return found
