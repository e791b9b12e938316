"""The time a line of a log file begins with.

=================================== ==================================================
example                             by
=================================== ==================================================
``2025-05-14 10:23:45,678``         Python, log4j; also ``T``, ``.``, ``Z``, ``+02:00``
``[2025-05-14T10:23:45Z INFO``      in a bracket: Rust, PHP
``2025/05/14 10:23:45``             Go, nginx
``14/May/2025:10:23:45 +0200``      access logs, in the bracket behind the user
``1747218225.678``                  seconds since the epoch
=================================== ==================================================

A stamp without zone is read in the zone of the input.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from logstreamd.wire.timestamps import Zone, read_iso

__all__ = ["LineStamp", "read_access_stamp", "scan_line_stamp"]

_ISO = re.compile(
    rb"\[?(\d{4})([-/])(\d\d)\2(\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?"
    rb"(?: ?(Z|[+-]\d\d:?\d\d)(?![\d:])| UTC)?(?=[\]\s|:,;-]|\Z)\]?[ :|,;]*"
)
_EPOCH = re.compile(rb"\[?(\d{10})\.(\d{1,9})\]?(?= )")
_ACCESS = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


class LineStamp(NamedTuple):
    """A time at the start of a line.

    Attributes:
        us: microseconds since the epoch.
        end: where the line goes on.
        text: the stamp as it was written.
    """

    us: int
    end: int
    text: bytes


def scan_line_stamp(line: bytes, zone: Zone) -> LineStamp | None:
    """Read the stamp a line begins with; None when there is none, or an impossible one."""
    match = _ISO.match(line)
    if match is not None:
        year, _, month, day, clock, fraction, offset = match.groups()
        iso = b"%s-%s-%sT%s" % (year, month, day, clock)
        us = read_iso(iso + (b"." + fraction if fraction else b"") + (offset or _utc(match[0])), zone)
        return None if us is None else LineStamp(us, match.end(), match[0].strip(b"[] :|,;"))
    epoch = _EPOCH.match(line)
    if epoch is None:
        return None
    return LineStamp(int(epoch[1]) * 1_000_000 + int(epoch[2][:6].ljust(6, b"0")), epoch.end(), epoch[0].strip(b"[]"))


def _utc(stamp: bytes) -> bytes:
    return b"Z" if stamp.rstrip(b"] :|,;").endswith(b"UTC") else b""


def read_access_stamp(stamp: bytes) -> int | None:
    """Read the stamp of an access log; None when it is not a possible time."""
    match = _ACCESS.fullmatch(stamp)
    if match is None or match[2] not in _MONTHS:
        return None
    day, _, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1)
    try:
        moment = datetime(
            int(year),
            _MONTHS.index(match[2]) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=timezone(offset),
        )
        return (moment - _EPOCH_START) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
