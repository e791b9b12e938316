"""How one input reads its messages: when they happened, and what is true of those that don't say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timezone
from zoneinfo import ZoneInfo

__all__ = ["Policy"]

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one input.

    Attributes:
        zone: what a stamp without zone is read in.
        max_past_us: how far before its arrival an event may lie; beyond, the arrival time is taken.
        max_future_us: how far after its arrival an event may lie (a sender's clock that is ahead).
        service: whose lines of files are that name none themselves; None: their files' names say it.
        host: where messages are from that name no host themselves; None: not known.
    """

    zone: ZoneInfo | timezone = UTC
    max_past_us: int = 7 * 86_400 * _SECOND_US
    max_future_us: int = 600 * _SECOND_US
    service: str | None = None
    host: str | None = None
