"""One record of a log file → one row: what the frame parsers know, and what only files have.

============================================= ============================================================
the record starts with                        read as
============================================= ============================================================
``{``, ``<PRI>``, a BSD stamp, an ISO stamp   :mod:`.parse`, as on a socket
with host and tag
``2025-05-14 10:23:45 | INFO    | …``         eight columns in bars: see below
``host user user [14/May/2025:…] "GET …" 200``  an access log: its time, and the level by the status
a stamp (:mod:`.line_stamp`)                  plain, with its time
anything else                                 plain, with the time of reading
============================================= ============================================================

Columns in bars are ``timestamp | level | id | service | user_id | request_id | 142ms | message``; the parts go to the
row's columns and, under these names (the duration as the number ``duration_ms``), to ``attrs``; a ``-`` is nothing.

For all of them the level is what the line says (:mod:`.line_level`), where its format has none; else notice. A line
that names no service is of the input's (``Policy.service``), or of its file: ``/logs/user-service.log`` is
``user-service``. The path of the file is ``attrs["file"]``, or ``attrs["logstreamd"]["file"]`` where the line has a
``file`` of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePath

from logstreamd.record import Facility, Record, Severity
from logstreamd.wire.batch import PARTIAL, TRUNCATED
from logstreamd.wire.event_time import settle_event_time
from logstreamd.wire.line_level import find_level, status_level
from logstreamd.wire.line_stamp import read_access_stamp, scan_line_stamp
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy
from logstreamd.wire.text import add_derived, decode_text, fit_column

__all__ = ["parse_line", "service_of_path"]

_NOTICE, _USER = int(Severity.NOTICE), int(Facility.USER)
_AS_ON_A_SOCKET = re.compile(
    rb"[<{]|[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d|1 \d{4}-\d\d-\d\dT"
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) "
    rb"(?!(?i:trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal)[ :])[\w.-]+ [\w./-]+(?:\[\d+\])?: "
)
_ACCESS = re.compile(rb'\S+ \S+ [^\[]{1,80}\[([^\]]{20,32})\] "[^"]{0,8000}" (\d{3}) ')
_BARS = 7
_DURATION = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?ms")
_ROTATED_SUFFIX = re.compile(r"(?:[.\-_]\d[\d.\-_T:]*|\.(?:old|bak|prev))+$")


def parse_line(record_bytes: bytes, received_at: int, policy: Policy, flags: int, path: str) -> Record:
    """Parse one record of a file.

    Args:
        record_bytes: a line, or the lines of a stack trace joined by line feeds.
        received_at: when it was read, microseconds since the epoch.
        policy: zone, time window and service of the input.
        flags: ``TRUNCATED`` | ``PARTIAL``.
        path: the file.

    Returns:
        The record; this function raises on no bytes at all.
    """
    if _AS_ON_A_SOCKET.match(record_bytes):
        record = parse_frame(record_bytes, received_at, policy, flags)
        _refine(record, record_bytes)
    else:
        record = _parse_plain(record_bytes, received_at, policy)
        if flags & TRUNCATED:
            record.flag("truncated")
        if flags & PARTIAL:
            record.flag("partial")
    if record.service is None:
        record.service = fit_column(policy.service or service_of_path(path), "service", record) or None
    add_derived(record, "file", _storable(path))
    return record


@lru_cache(1024)
def service_of_path(path: str) -> str:
    """Return the service a file is named after: its name without extension and without what rotation added."""
    name = _ROTATED_SUFFIX.sub("", PurePath(_storable(path)).name)
    stem = name.rpartition(".")[0] or name
    return _ROTATED_SUFFIX.sub("", stem) or stem


@lru_cache(1024)
def _storable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _refine(record: Record, data: bytes) -> None:
    """Take the level from the text of a message whose format had no place for one."""
    if data.startswith((b"<", b"{")) and record.format != "raw":
        return
    level = find_level(record.message[:200].encode())
    if level is not None:
        record.severity = level


def _parse_plain(data: bytes, received_at: int, policy: Policy) -> Record:
    record = Record(received_at, received_at, _NOTICE, _USER, "", "raw")
    stamp = scan_line_stamp(data, policy.zone)
    rest = data
    if stamp is not None:
        settle_event_time(record, stamp.us, stamp.text, policy)
        rest = data[stamp.end :]
    if stamp is not None and data.count(b"|", 0, 400) >= _BARS and _fill_columns(record, data):
        return record
    access = _ACCESS.match(data) if stamp is None else None
    if access is not None:
        settle_event_time(record, read_access_stamp(access[1]), access[1], policy)
        level: int | None = status_level(int(access[2]))
    else:
        level = find_level(rest)
    if level is not None:
        record.severity = level
    record.message = decode_text(data, record)
    return record


def _fill_columns(record: Record, data: bytes) -> bool:
    """Fill a record from columns in bars; False when these are others."""
    _, level, *columns = (part.strip() for part in data.split(b"|", _BARS))
    severity = find_level(level)
    if severity is None or len(columns) != _BARS - 1:
        return False
    message = columns.pop()
    *named, duration = (decode_text(column, record) for column in columns)
    milliseconds = _DURATION.fullmatch(duration)
    if milliseconds is None and duration not in ("", "-"):
        return False
    record.severity = severity
    for name, text in zip(("id", "service", "user_id", "request_id"), named, strict=True):
        if text in ("", "-"):
            continue
        if name == "service":
            record.service = fit_column(text, name, record)
        else:
            record.attrs[name] = text
    if milliseconds is not None:
        record.attrs["duration_ms"] = float(milliseconds[1]) if "." in milliseconds[1] else int(milliseconds[1])
    record.message = decode_text(message, record)
    return True
