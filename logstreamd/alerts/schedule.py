"""When groups of rules are evaluated: at instants that any daemon computes to be the same. Pure.

A group's instants are one interval apart and begin at an offset that its name makes, so that groups with the same
interval are spread over it. A daemon that takes over, or starts again, goes on with the same instants. They are whole
seconds, as intervals are: people can tell them beforehand, and groups that come at the same one share what they read.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

__all__ = ["instant_at", "is_due", "offset_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def offset_of(group: str, interval: timedelta) -> timedelta:
    """Return where in each interval a group's instant lies."""
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % (interval // _SECOND) * _SECOND


def instant_at(now: datetime, interval: timedelta, offset: timedelta) -> datetime:
    """Return the newest instant that has come."""
    return now - (now - _EPOCH - offset) % interval


def is_due(instant: datetime, evaluated: datetime | None, interval: timedelta) -> bool:
    """Tell whether to evaluate at an instant.

    Args:
        instant: the newest one that has come.
        evaluated: the one that was evaluated last; None: none was.
        interval: from one to the next.

    Returns:
        Whether it is a newer one, or one so much older that the clock must have been put back. A clock that was put
        back by less than an interval is waited for: the same instant does not count twice.
    """
    return evaluated is None or instant > evaluated or evaluated - instant > interval
