"""RFC 3339 times, strictly: the date, a ``T`` (or a blank), the time of day, a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["parse_rfc3339"]

_STAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_rfc3339(text: str) -> datetime | None:
    """Read a time.

    Args:
        text: for example ``2026-11-22T03:00:00.25+01:00``; digits beyond microseconds are cut.

    Returns:
        The time in UTC, or None when it is not one.

    Source: RFC 3339 section 5.6, without leap seconds.
    """
    if not _STAMP.fullmatch(text):
        return None
    head, zone = (text[:-1], "+00:00") if text[-1] in "Zz" else (text[:-6], text[-6:])
    whole, _, fraction = head.partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):  # a day that is not in the calendar, or before the year 1 in UTC
        return None
