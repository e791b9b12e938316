"""Events → lines.

======== ==========================================================================================================
text     ``2025-05-14 10:23:45 | INFO    | abc-1234 | user-service | user-67890 | req-xyz789 | 142ms | User login ...``
json     one object per line, with all fields
csv      RFC 4180 quoting, line feeds at the end; the names of the fields come first in a file
rfc5424  the ids are structured data
rfc3164  the ids follow the message as ``name=value``
======== ==========================================================================================================

Times are UTC in every format. No line holds a line feed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from generator.event import FIELDS, Event

__all__ = ["FORMATS", "Format", "make_format"]

FORMATS = ("text", "json", "csv", "rfc5424", "rfc3164")
"""The names of the formats."""

_LOCAL0 = 16
# Source: RFC 5424 table 2.
_SEVERITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
_PRIORITIES = {level: _LOCAL0 * 8 + severity for level, severity in _SEVERITIES.items()}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# More different messages than the pools hold; those that name a subject of a pattern are among them.
_KNOWN_MESSAGES = 16_384


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write events.

    Attributes:
        header: the line that a file begins with, if any.
        lines: events → one line each, without line ends.
    """

    lines: Callable[[Sequence[Event]], list[str]]
    header: str | None = None


def make_format(name: str, *, host: str, pid: int) -> Format:
    """Return a format.

    Args:
        name: one of :data:`FORMATS`.
        host: what syslog calls HOSTNAME.
        pid: what it calls PROCID.
    """
    if name == "text":
        return Format(_text_lines)
    if name == "json":
        return Format(_json_lines)
    if name == "csv":
        return Format(_csv_lines, header=",".join(FIELDS))
    if name == "rfc5424":
        return Format(lambda events: _rfc5424_lines(events, host, pid))
    return Format(lambda events: _rfc3164_lines(events, host, pid))


# Thousands of lines have the same one. Two are in use while a batch crosses from a second to the next.
@lru_cache(maxsize=4)
def _second_text(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=4)
def _second_iso(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4)
def _second_bsd(epoch_seconds: int) -> str:
    """Return TIMESTAMP of RFC 3164 section 4.1.2: English months, the day padded with a blank."""
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return f"{_MONTHS[moment.month - 1]} {moment.day:2} {moment:%H:%M:%S}"


@lru_cache(maxsize=_KNOWN_MESSAGES)
def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _iso(time_us: int) -> str:
    seconds, us = divmod(time_us, 1_000_000)
    return f"{_second_iso(seconds)}.{us:06}Z"


def _text_lines(events: Sequence[Event]) -> list[str]:
    return [
        f"{_second_text(time_us // 1_000_000)} | {level:<7} | {line_id} | {service} | {user_id} | {request_id}"
        f" | {duration_ms}ms | {message}"
        for time_us, level, line_id, service, user_id, request_id, _trace_id, duration_ms, message in events
    ]


def _json_lines(events: Sequence[Event]) -> list[str]:
    # Only messages can hold what JSON escapes; json.dumps() of the whole takes five times as long.
    return [
        f'{{"timestamp":"{_iso(time_us)}","level":"{level}","id":"{line_id}","service":"{service}","user_id":"{user_id}",'
        f'"request_id":"{request_id}","trace_id":"{trace_id}","duration_ms":{duration_ms},"message":{_json_text(message)}}}'
        for time_us, level, line_id, service, user_id, request_id, trace_id, duration_ms, message in events
    ]


class _Rows:
    """What :func:`csv.writer` writes to: it calls ``write`` once for each row."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.write = self.lines.append


def _csv_lines(events: Sequence[Event]) -> list[str]:
    rows = _Rows()
    csv.writer(rows, lineterminator="").writerows((_iso(event[0]), *event[1:]) for event in events)
    return rows.lines


def _rfc5424_lines(events: Sequence[Event], host: str, pid: int) -> list[str]:
    # 32473 is the enterprise number for examples. Source: RFC 5612.
    return [
        f'<{_PRIORITIES[level]}>1 {_iso(time_us)} {host} {service} {pid} - [log@32473 id="{line_id}"'
        f' user_id="{user_id}" request_id="{request_id}" trace_id="{trace_id}" duration_ms="{duration_ms}"] {message}'
        for time_us, level, line_id, service, user_id, request_id, trace_id, duration_ms, message in events
    ]


def _rfc3164_lines(events: Sequence[Event], host: str, pid: int) -> list[str]:
    return [
        f"<{_PRIORITIES[level]}>{_second_bsd(time_us // 1_000_000)} {host} {service}[{pid}]: {message} id={line_id}"
        f" user_id={user_id} request_id={request_id} trace_id={trace_id} duration_ms={duration_ms}"
        for time_us, level, line_id, service, user_id, request_id, trace_id, duration_ms, message in events
    ]
