"""One JSON object per frame → records.

========== =============================================== =============================================
column     the first of these fields with a usable value   usable
========== =============================================== =============================================
ts         ``timestamp @timestamp ts time``                RFC 3339 text (also a blank for the ``T``, a
                                                           ``,`` before the fraction, no zone); a number,
                                                           or its digits as text, of seconds,
                                                           milliseconds, micro- or nanoseconds
severity   ``level severity lvl``                          a name in any case; 0..7 as in syslog; 10, 20
                                                           .. 60 as in bunyan and pino; digits as text
service    ``service app logger``                          text, number
host       ``host hostname``                               text, number
trace_id   ``trace_id traceId``                            text, number
message    ``message msg log``                             text, number, true or false
========== =============================================== =============================================

A field whose value is not usable and every other field goes to ``attrs`` as it is. Without a severity a
record is a notice; without a message the JSON text itself is the message, so that a search finds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from logstreamd.record import Record, Severity, severity_from_name
from logstreamd.wire.event_time import settle_event_time
from logstreamd.wire.json_document import Document
from logstreamd.wire.policy import Policy
from logstreamd.wire.text import decode_text, fit_column, note
from logstreamd.wire.timestamps import Zone, read_iso

__all__ = ["epoch_us", "fill", "read_level", "read_timestamp"]

_T = TypeVar("_T")

_TIMESTAMP_FIELDS = ("timestamp", "@timestamp", "ts", "time")
_LEVEL_FIELDS = ("level", "severity", "lvl")
_COLUMN_FIELDS = {
    "service": ("service", "app", "logger"),
    "host": ("host", "hostname"),
    "trace_id": ("trace_id", "traceId"),
}
_MESSAGE_FIELDS = ("message", "msg", "log")
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,9})?", re.ASCII)

_BUNYAN_LEVELS = {
    10: Severity.DEBUG,  # trace
    20: Severity.DEBUG,
    30: Severity.INFO,
    40: Severity.WARNING,
    50: Severity.ERROR,
    60: Severity.CRITICAL,  # fatal
}


def fill(record: Record, document: Document, data: bytes, policy: Policy) -> None:
    """Fill a record from a decoded JSON object.

    Args:
        record: holds the defaults for severity and facility, and the arrival time as ``ts``.
        document: the frame, decoded.
        data: the frame as it came.
        policy: times of the input.
    """
    fields = document.fields
    _take_attributes(record, document)
    record.severity = _take(fields, _LEVEL_FIELDS, read_level, record.severity)
    for name in _TIMESTAMP_FIELDS:
        event_us = read_timestamp(fields[name], policy.zone) if name in fields else None
        if event_us is not None:
            settle_event_time(record, event_us, str(fields.pop(name)).encode(), policy)
            break
    for column, names in _COLUMN_FIELDS.items():
        text = _take(fields, names, _read_word, "")
        if text:
            setattr(record, column, fit_column(text, column, record))
    message = _take(fields, _MESSAGE_FIELDS, _read_message, None)
    record.message = decode_text(data, record) if message is None else message


def _take_attributes(record: Record, document: Document) -> None:
    """Make the document's fields the record's attributes, and note beside them what was repaired."""
    fields = document.fields
    is_sender_ours = "logstreamd" in fields
    sender = fields.pop("logstreamd", None)
    notes = record.attrs.get("logstreamd")
    record.attrs = fields
    if notes is not None:
        fields["logstreamd"] = notes
    if is_sender_ours:
        note(record, "sender", sender)
    if document.rest is not None:
        note(record, "rest", document.rest)
    for flag in sorted(document.flags):
        record.flag(flag)


def _take(fields: dict[str, Any], names: tuple[str, ...], read: Callable[[Any], _T | None], default: _T) -> _T:
    """Remove the first field of ``names`` that has a usable value, and return that value."""
    for name in names:
        if name in fields:
            value = read(fields[name])
            if value is not None:
                del fields[name]
                return value
    return default


def read_level(value: Any) -> int | None:
    """Read a level as a name or a number (the table above); None when it is neither."""
    if isinstance(value, str):
        severity = severity_from_name(value)
        if severity is not None:
            return int(severity)
        if not (value.isascii() and value.isdigit() and len(value) <= 2):
            return None
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if 0 <= value <= 7:
        return value
    bunyan = _BUNYAN_LEVELS.get(value)
    return None if bunyan is None else int(bunyan)


def read_timestamp(value: Any, zone: Zone) -> int | None:
    """Read a timestamp as text or number (the table above).

    Returns:
        Microseconds since the epoch, or None when it is not a time.
    """
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return epoch_us(float(value) if "." in value else int(value))
        if not value.isascii():
            return None
        return read_iso(value.upper().replace(",", ".", 1).encode(), zone)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return epoch_us(value)
    return None


def epoch_us(value: float) -> int | None:
    """Turn a Unix time of unknown unit into microseconds.

    Seconds are below 1e11 (the year 5138), milliseconds below 1e14, microseconds below 1e17, nanoseconds
    below 1e20; none of them is negative.
    """
    if value < 0 or value >= 1e20:
        return None
    if value < 1e11:
        return round(value * 1_000_000)
    if value < 1e14:
        return round(value * 1000)
    return round(value) if value < 1e17 else round(value) // 1000


def _read_word(value: Any) -> str | None:
    """Return a column's text; an empty one counts as usable, but leaves the column empty."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _read_message(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _read_word(value)
