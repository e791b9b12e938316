"""Times as people give them in a question: RFC 3339, ``now``, or relative to now like ``-15m``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from logstreamd.query.errors import BadParameterError

__all__ = ["parse_time"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_RELATIVE = re.compile(r"(?:now)?\s*([+-])\s*(\d{1,9})(ms|s|m|h|d|w)", re.ASCII)
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[ +-]\d\d:\d\d)", re.ASCII
)
_EXPECTED = "must be a time like 2026-11-22T03:00:00Z, 'now' or relative like -15m"


def parse_time(text: str, field: str, now: datetime) -> datetime:
    """Read a time.

    Args:
        text: ``now``, ``-15m``, ``now-1h`` or an RFC 3339 stamp (section 5.6). A ``+`` that a URL turned into a space
            is understood.
        field: the parameter's name, for the error.
        now: the present, aware.

    Returns:
        An aware datetime in UTC.

    Raises:
        BadParameterError: it is none of these, or out of the calendar.
    """
    text = text.strip()
    if text == "now":
        return now
    if relative := _RELATIVE.fullmatch(text):
        sign, count, unit = relative.groups()
        try:
            return now + timedelta(seconds=int(f"{sign}{count}") * _UNITS[unit])
        except OverflowError:
            raise BadParameterError(field, f"{_EXPECTED} (got {text!r}, which lies outside the calendar)") from None
    if _RFC3339.fullmatch(text):
        head, zone = (text[:-1], "+00:00") if text[-1] in "Zz" else (text[:-6], text[-6:].replace(" ", "+"))
        whole, _, fraction = head.partition(".")
        try:
            # Python reads at most six digits of fraction; PostgreSQL keeps no more either.
            return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}{zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise BadParameterError(field, f"{_EXPECTED} (got {text!r})")
