"""RFC 3339 times from people and programs that were told to send one: a zone is a must, nothing is guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from logstreamd.wire.timestamps import read_iso

__all__ = ["parse_rfc3339"]

_ZONED = re.compile(r"(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_rfc3339(text: str) -> datetime | None:
    """Read a time.

    Args:
        text: for example ``2026-11-22T03:00:00.25+01:00``; digits beyond microseconds are cut.

    Returns:
        The time in UTC, or None when it is not one.

    Source: RFC 3339 section 5.6, without leap seconds.
    """
    if not text.isascii() or not _ZONED.search(text):
        return None
    microseconds = read_iso(text.upper().encode(), UTC)
    if microseconds is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:  # before the year 1 or after 9999 in UTC
        return None
