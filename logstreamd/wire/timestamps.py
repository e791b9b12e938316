"""Stamps as devices write them → microseconds since the epoch.

========== ========================================== ==========================================
kind       example                                    read as
========== ========================================== ==========================================
ISO        ``2003-10-11T22:14:15.003Z``               RFC 5424 section 6.2.3; also a blank for the
                                                      ``T``, ``+0200``, ``+02``, no zone, any fraction
BSD        ``Oct  1 22:14:15``                        RFC 3164 section 4.1.2; also a year before or
                                                      after the time, a fraction, a zone name, ``:``
NX-OS      ``2024 Oct  1 22:14:15 CET:``              only with the ``:``
NetScaler  ``10/31/2024:22:14:15 GMT``
epoch      ``1728684855.003``                         seconds with a fraction (Meraki)
========== ========================================== ==========================================

A stamp without year gets the year that brings it nearest to its arrival, one without zone the zone of the
input; in the hour that a change to winter time repeats, the first one (``fold=0``). Digits are ASCII digits:
``int()`` would take more.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

__all__ = ["Stamp", "Zone", "read_iso", "scan_bsd", "scan_stamp"]

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
# Names that mean one offset only where syslog is concerned; RFC 5322 section 4.3 fixes the American ones.
# Others (IST, BST) are ambiguous: such a stamp is read in the input's zone.
_ZONE_HOURS = {
    b"UTC": 0, b"GMT": 0, b"UT": 0, b"WET": 0, b"WEST": 1, b"CET": 1, b"CEST": 2, b"EET": 2, b"EEST": 3,
    b"MSK": 3, b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7,
}  # fmt: skip

_ISO_SECONDS = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)")
_ISO_TAIL = re.compile(rb"(?:\.(\d+))?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?")
_BSD = re.compile(rb"([A-Za-z]{3}) {1,2}(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:\.(\d+))?")
_BSD_AFTER = re.compile(
    rb":(?= |\Z)| ([A-Z]{2,5}):(?= |\Z)| (UTC|GMT)(?= )"
    rb"| ([A-Z]{3,5}) ((?:19|20)\d\d)(?= |\Z)| ((?:19|20)\d\d):?(?= |\Z)"
)
_NX_OS = re.compile(
    rb"(\d{4}) ([A-Za-z]{3}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?: ([A-Z]{1,5}))?:(?= |\Z)"
)
_NETSCALER = re.compile(rb"(\d\d)/(\d\d)/(\d{4}):(\d\d):(\d\d):(\d\d)(?: GMT)?(?= |\Z)")
_UNIX = re.compile(rb"(\d{9,10})\.(\d{1,9})(?= |\Z)")

Zone = ZoneInfo | timezone


class Stamp(NamedTuple):
    """A time found in a frame.

    Attributes:
        us: microseconds since the epoch.
        end: the offset just after the stamp and the ``:`` that may close it.
        colon: whether a ``:`` closed it, as Cisco's devices do.
        zoned_iso: whether it was an ISO stamp with ``T`` and a zone, as RFC 5424 wants.
    """

    us: int
    end: int
    colon: bool = False
    zoned_iso: bool = False


def scan_stamp(data: bytes, pos: int, received_at: int, zone: Zone) -> Stamp | None:
    """Read the stamp that starts at ``pos``, of any kind above.

    Returns:
        The stamp, or None when there is none, it names an impossible time, or something is glued to its end.
    """
    first = data[pos : pos + 1]
    if first.isalpha():
        return scan_bsd(data, pos, received_at, zone)
    if first.isdigit():
        return _scan_iso(data, pos, zone) or _scan_rare(data, pos, zone)
    return None


def read_iso(stamp: bytes, zone: Zone) -> int | None:
    """Read a text that is one ISO stamp from end to end.

    Returns:
        Microseconds since the epoch, or None when it is not one.

    Source: RFC 5424 section 6.2.3 (upper-case ``T`` and ``Z``, no leap second); digits beyond microseconds
        are cut off.
    """
    seconds = _iso_seconds(stamp[:19])
    if seconds is None:
        return None
    tail = _ISO_TAIL.fullmatch(stamp, 19)
    return None if tail is None else _add_tail(seconds, tail, zone)


def scan_bsd(data: bytes, pos: int, received_at: int, zone: Zone) -> Stamp | None:
    """Read a BSD stamp at ``pos``, with what devices add to it."""
    end = pos + 15
    follower = data[end : end + 1]
    # The common form is fixed and repeats for every line of the same second: one cached look-up.
    if follower == b" " and not data[end + 1 : end + 5].isdigit() and not data[end + 1 : end + 2].isupper():
        seconds = _bsd_seconds(data[pos:end], received_at // (_DAY_SECONDS * 1_000_000), zone)
        if seconds is not None:
            return Stamp(seconds * 1_000_000, end)
    match = _BSD.match(data, pos)
    return None if match is None else _bsd_with_extras(data, match, received_at, zone)


def _bsd_with_extras(data: bytes, match: re.Match[bytes], received_at: int, zone: Zone) -> Stamp | None:
    month, day, year, hour, minute, second, fraction = match.groups()
    end = match.end()
    after = _BSD_AFTER.match(data, end)
    zone_name = None
    if after is not None:
        zone_name = after[1] or after[2] or after[3]
        year = year or after[4] or after[5]
        end = after.end()
    elif data[end : end + 1] not in (b"", b" "):
        return None
    seconds = _calendar_seconds(
        int(year) if year else None,
        month,
        int(day),
        _clock(hour, minute, second),
        received_at // (_DAY_SECONDS * 1_000_000),
    )
    if seconds is None:
        return None
    us = (seconds - _named_offset(zone_name, zone, seconds)) * 1_000_000 + _fraction_us(fraction)
    return Stamp(us, end, colon=data[end - 1 : end] == b":")


def _scan_iso(data: bytes, pos: int, zone: Zone) -> Stamp | None:
    seconds = _iso_seconds(data[pos : pos + 19])
    if seconds is None:
        return None
    tail = _ISO_TAIL.match(data, pos + 19)
    assert tail is not None  # noqa: S101  (every part of the pattern is optional)
    end = tail.end()
    follower = data[end : end + 1]
    us = _add_tail(seconds, tail, zone)
    if us is None or follower not in (b"", b" ", b":"):
        return None
    zoned = data[pos + 10 : pos + 11] == b"T" and (tail[2] or tail[3]) is not None
    return Stamp(us, end + (follower == b":"), colon=follower == b":", zoned_iso=zoned)


def _scan_rare(data: bytes, pos: int, zone: Zone) -> Stamp | None:
    if match := _UNIX.match(data, pos):
        return Stamp(int(match[1]) * 1_000_000 + _fraction_us(match[2]), match.end())
    if match := _NX_OS.match(data, pos):
        year, month, day, hour, minute, second, fraction, name = match.groups()
        seconds = _calendar_seconds(int(year), month, int(day), _clock(hour, minute, second), 0)
        if seconds is None:
            return None
        us = (seconds - _named_offset(name, zone, seconds)) * 1_000_000 + _fraction_us(fraction)
        return Stamp(us, match.end(), colon=True)
    if match := _NETSCALER.match(data, pos):
        month, day, year, hour, minute, second = match.groups()
        if int(month) > 12:  # the device can be told to write the day first
            month, day = day, month
        days, clock = _days(int(year), int(month), int(day)), _clock(hour, minute, second)
        if days is not None and clock is not None:
            return Stamp((days * _DAY_SECONDS + clock) * 1_000_000, match.end())
    return None


def _add_tail(seconds: int, tail: re.Match[bytes], zone: Zone) -> int | None:
    """Add fraction and offset to an ISO stamp's seconds; None when the offset is not within 23:59."""
    fraction, utc, sign, hours, minutes = tail.groups()
    if utc is None:
        if sign is None:
            seconds -= _zone_offset(zone, seconds // 60)
        else:
            hour, minute = int(hours), int(minutes or 0)
            if hour > 23 or minute > 59:
                return None
            offset = hour * 3600 + minute * 60
            seconds += offset if sign == b"-" else -offset
    return seconds * 1_000_000 + (_fraction_us(fraction) if fraction else 0)


@lru_cache(maxsize=4096)
def _iso_seconds(stamp: bytes) -> int | None:
    """Read ``YYYY-MM-DDThh:mm:ss`` as if it were UTC."""
    match = _ISO_SECONDS.fullmatch(stamp)
    if match is None:
        return None
    days = _days(int(match[1]), int(match[2]), int(match[3]))
    clock = _clock(match[4], match[5], match[6])
    return None if days is None or clock is None else days * _DAY_SECONDS + clock


@lru_cache(maxsize=4096)
def _bsd_seconds(stamp: bytes, arrival_day: int, zone: Zone) -> int | None:
    """Read ``Mmm dd hh:mm:ss`` of exactly 15 bytes; ``arrival_day`` (days since the epoch) gives the year."""
    match = _BSD.fullmatch(stamp)
    if match is None or match[3] or match[7]:
        return None
    seconds = _calendar_seconds(None, match[1], int(match[2]), _clock(match[4], match[5], match[6]), arrival_day)
    return None if seconds is None else seconds - _zone_offset(zone, seconds // 60)


def _calendar_seconds(year: int | None, month: bytes, day: int, clock: int | None, arrival_day: int) -> int | None:
    number = _MONTHS.get(month.lower())
    if number is None or clock is None:
        return None
    days = _days(year, number, day) if year is not None else _nearest_days(number, day, arrival_day)
    return None if days is None else days * _DAY_SECONDS + clock


def _nearest_days(month: int, day: int, arrival_day: int) -> int | None:
    """Return the date's day nearest to arrival, in the year before, of or after it (29 February: if it exists)."""
    year = date.fromordinal(arrival_day + _EPOCH_ORDINAL).year
    candidates = [days for y in (year - 1, year, year + 1) if (days := _days(y, month, day)) is not None]
    return min(candidates, key=lambda days: abs(days - arrival_day), default=None)


def _days(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None


def _clock(hour: bytes, minute: bytes, second: bytes) -> int | None:
    """Return the second of the day; no leap second, no hour 24 (RFC 5424 section 6.2.3)."""
    h, m, s = int(hour), int(minute), int(second)
    return h * 3600 + m * 60 + s if h < 24 and m < 60 and s < 60 else None


def _fraction_us(digits: bytes | None) -> int:
    return int(digits[:6].ljust(6, b"0")) if digits else 0


def _named_offset(name: bytes | None, zone: Zone, local_seconds: int) -> int:
    hours = _ZONE_HOURS.get(name) if name else None
    return _zone_offset(zone, local_seconds // 60) if hours is None else hours * 3600


@lru_cache(maxsize=4096)
def _zone_offset(zone: Zone, local_minute: int) -> int:
    """Return a zone's offset in seconds at a local time (minutes since the epoch, as if it were UTC)."""
    if zone is UTC:
        return 0
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=local_minute)
    offset = local.replace(tzinfo=zone).utcoffset()
    return 0 if offset is None else offset.days * _DAY_SECONDS + offset.seconds
