"""One log line before it has a format."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FIELDS", "LEVELS", "Event"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""The level names, from harmless to bad."""


class Event(NamedTuple):
    """What an application has to say, and about whom.

    A named tuple because 100,000 of them are made in a second: it costs half of a dataclass with slots.
    """

    time_us: int
    """Microseconds since the epoch."""
    level: str
    id: str
    """Names this line, as in ``abc-1234``."""
    service: str
    user_id: str
    request_id: str
    trace_id: str
    """32 hexadecimal digits, as in W3C trace contexts."""
    duration_ms: int
    message: str


FIELDS = ("timestamp", *Event._fields[1:])
"""The names of the fields as CSV and JSON show them."""
