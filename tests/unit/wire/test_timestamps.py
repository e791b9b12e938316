"""Stamps of every kind become microseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from logstreamd.wire.timestamps import Zone, read_iso, scan_stamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ARRIVAL = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def us(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def read(stamp: bytes, arrival: datetime = ARRIVAL, zone: Zone = UTC) -> str | None:
    found = scan_stamp(stamp + b" host", 0, us(arrival), zone)
    if found is None:
        return None
    assert found.end == len(stamp)
    return (EPOCH + timedelta(microseconds=found.us)).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (b"Nov 21 22:14:15", "2026-11-21 22:14:15.000"),
        (b"NOV  1 22:14:15", "2026-11-01 22:14:15.000"),
        (b"Nov 1 22:14:15", "2026-11-01 22:14:15.000"),
        (b"Nov 01 22:14:15.123456789", "2026-11-01 22:14:15.123"),
        (b"Nov 21 2024 22:14:15", "2024-11-21 22:14:15.000"),
        (b"Nov 21 22:14:15 2024", "2024-11-21 22:14:15.000"),
        (b"Nov 21 22:14:15:", "2026-11-21 22:14:15.000"),
        (b"Nov 21 22:14:15 EST:", "2026-11-22 03:14:15.000"),
        (b"Nov 21 22:14:15 UTC", "2026-11-21 22:14:15.000"),
        (b"Nov 21 22:14:15 CET 2024", "2024-11-21 21:14:15.000"),
        (b"2024 Nov 21 22:14:15.5 CET:", "2024-11-21 21:14:15.500"),
        (b"2026-11-21T22:14:15.003Z", "2026-11-21 22:14:15.003"),
        (b"2026-11-21T22:14:15.003-07:00", "2026-11-22 05:14:15.003"),
        (b"2026-11-21 22:14:15+0530", "2026-11-21 16:44:15.000"),
        (b"2026-11-21 22:14:15+05", "2026-11-21 17:14:15.000"),
        (b"2026-11-21T22:14:15", "2026-11-21 22:14:15.000"),
        (b"1795212855.003", "2026-11-20 22:14:15.003"),
        (b"11/21/2026:22:14:15 GMT", "2026-11-21 22:14:15.000"),
        (b"21/11/2026:22:14:15", "2026-11-21 22:14:15.000"),
    ],
)
def test_a_stamp_is_read(stamp: bytes, expected: str) -> None:
    assert read(stamp) == expected


@pytest.mark.parametrize(
    "stamp",
    [
        b"Foo 21 22:14:15", b"Nov 31 22:14:15", b"Nov  0 22:14:15", b"Nov 21 24:14:15", b"Nov 21 22:60:15",
        b"Nov 21 22:14:60", b"Nov 21 22:14:15x", b"Nov 21 22:14", b"2026-02-29T22:14:15Z", b"2026-11-21T22:14:60Z",
        b"2026-11-21T22:14:15+24:00", b"2026-11-21T22:14:15+05:60", b"2026-11-21t22:14:15Z",
        b"2026-11-21T22:14:15.Z", b"20261121T221415Z", b"2026-11-21", b"0000-01-01T00:00:00Z",
        b"1990 Oct 22 10:52:01", b"2024 Foo 21 22:14:15:", b"13/13/2026:22:14:15", b"1795212855", b"",
        "２０26-11-21T22:14:15Z".encode(),
    ],
)  # fmt: skip
def test_an_impossible_or_half_stamp_is_none(stamp: bytes) -> None:
    assert scan_stamp(stamp + b" host", 0, us(ARRIVAL), UTC) is None


@pytest.mark.parametrize(
    ("stamp", "arrival", "year"),
    [
        (b"Dec 31 23:59:59", datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), 2025),
        (b"Jan  1 00:00:01", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), 2026),
        (b"Nov 21 23:00:00", ARRIVAL, 2026),
        (b"Jul  1 00:00:00", datetime(2026, 1, 1, tzinfo=UTC), 2026),
        (b"Feb 29 12:00:00", datetime(2028, 3, 1, tzinfo=UTC), 2028),
        (b"Feb 29 12:00:00", datetime(2027, 3, 1, tzinfo=UTC), 2028),
    ],
)
def test_a_stamp_without_year_gets_the_year_nearest_to_its_arrival(stamp: bytes, arrival: datetime, year: int) -> None:
    assert str(read(stamp, arrival)).startswith(str(year))


def test_29_february_is_no_date_when_no_near_year_has_it() -> None:
    assert read(b"Feb 29 12:00:00", datetime(2026, 3, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        (b"Jul  1 12:00:00", "2026-07-01 10:00:00.000"),
        (b"Dec  1 12:00:00", "2026-12-01 11:00:00.000"),
        (b"Oct 25 02:30:00", "2026-10-25 00:30:00.000"),  # comes twice: the first one
        (b"Mar 29 02:30:00", "2026-03-29 01:30:00.000"),  # does not exist
        (b"2026-07-01T12:00:00", "2026-07-01 10:00:00.000"),
        (b"2026-07-01T12:00:00Z", "2026-07-01 12:00:00.000"),
    ],
)
def test_a_stamp_without_zone_is_read_in_the_zone_of_the_input(stamp: bytes, utc: str) -> None:
    assert read(stamp, datetime(2026, 8, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin")) == utc


@pytest.mark.parametrize("stamp", [b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:00:00-12:00"])
def test_times_beyond_the_calendar_are_numbers_all_the_same(stamp: bytes) -> None:
    assert isinstance(read_iso(stamp, UTC), int)
