"""The record model: what one log line becomes, and the names everything else uses for it.

A :class:`Record` is one row of the table ``logs`` before it has an id. Times are integers in microseconds since the
Unix epoch (UTC), the resolution PostgreSQL stores, so that no float and no naive datetime can slip in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

__all__ = ["COLUMNS", "LEVELS", "Facility", "Record", "Severity", "severity_from_name"]


class Severity(IntEnum):
    """How bad it is, from 0 (worst) to 7. Source: RFC 5424 table 2."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Facility(IntEnum):
    """Which part of a system speaks, 0..23. Source: RFC 5424 table 1, with the names of the ``logger`` program."""

    KERN = 0
    USER = 1
    MAIL = 2
    DAEMON = 3
    AUTH = 4
    SYSLOG = 5
    LPR = 6
    NEWS = 7
    UUCP = 8
    CRON = 9
    AUTHPRIV = 10
    FTP = 11
    NTP = 12
    SECURITY = 13
    CONSOLE = 14
    SOLARIS_CRON = 15
    LOCAL0 = 16
    LOCAL1 = 17
    LOCAL2 = 18
    LOCAL3 = 19
    LOCAL4 = 20
    LOCAL5 = 21
    LOCAL6 = 22
    LOCAL7 = 23


LEVELS: tuple[str, ...] = tuple(severity.name.lower() for severity in Severity)
"""The level names in the order of their severity: ``LEVELS[3] == "error"``."""

_LEVEL_ALIASES = {
    "emerg": Severity.EMERGENCY,
    "panic": Severity.EMERGENCY,
    "crit": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "err": Severity.ERROR,
    "warn": Severity.WARNING,
    "informational": Severity.INFO,
    "information": Severity.INFO,
    "trace": Severity.DEBUG,
    **{name: Severity(value) for value, name in enumerate(LEVELS)},
}


def severity_from_name(name: str) -> Severity | None:
    """Read a level name as people write it: any case, the usual short forms.

    Args:
        name: for example ``"warn"``, ``"ERROR"``, ``"fatal"``.

    Returns:
        The severity, or None when the name is not one.
    """
    return _LEVEL_ALIASES.get(name.strip().lower())


@dataclass(slots=True)
class Record:
    """One log line, parsed.

    Every text is storable as it is (no NUL, no lone surrogate); what had to be repaired for that is named in
    ``attrs["logstreamd"]["flags"]``.
    """

    ts: int
    """The event's time in microseconds since the epoch."""
    received_at: int
    """When the frame arrived, in microseconds since the epoch."""
    severity: int
    facility: int
    message: str
    format: str
    """What the frame was read as: ``rfc5424``, ``rfc3164``, ``json``, ``cef``, ``leef`` or ``raw``."""
    host: str | None = None
    service: str | None = None
    proc_id: str | None = None
    msg_id: str | None = None
    trace_id: str | None = None
    attrs: dict[str, Any] = field(default_factory=dict)

    def flag(self, name: str) -> None:
        """Note on the row that something about it was repaired, cut or guessed."""
        note = self.attrs.setdefault("logstreamd", {})
        flags = note.setdefault("flags", [])
        if name not in flags:
            flags.append(name)


COLUMNS: tuple[str, ...] = (
    "id",
    "ts",
    "received_at",
    "severity",
    "facility",
    "host",
    "service",
    "proc_id",
    "msg_id",
    "trace_id",
    "message",
    "attrs",
    "input",
    "peer",
    "format",
)
"""The columns of ``logs``, in the order of the table and of the COPY stream."""
