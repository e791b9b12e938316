from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logstreamd.wire.rfc3339 import parse_rfc3339


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1985-04-12T23:20:50.52Z", datetime(1985, 4, 12, 23, 20, 50, 520_000, UTC)),  # RFC 3339 section 5.8
        ("1996-12-19T16:39:57-08:00", datetime(1996, 12, 20, 0, 39, 57, 0, UTC)),
        ("1937-01-01T12:00:27.87+00:20", datetime(1937, 1, 1, 11, 40, 27, 870_000, UTC)),
        ("2026-11-22t03:00:00z", datetime(2026, 11, 22, 3, 0, 0, 0, UTC)),
        ("2026-11-22 03:00:00Z", datetime(2026, 11, 22, 3, 0, 0, 0, UTC)),
        ("2026-11-22T03:00:00-00:00", datetime(2026, 11, 22, 3, 0, 0, 0, UTC)),
        ("2026-11-22T03:00:00.123456789Z", datetime(2026, 11, 22, 3, 0, 0, 123_456, UTC)),
        ("2026-11-22T03:00:00.000001+14:00", datetime(2026, 11, 21, 13, 0, 0, 1, UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, 0, 0, 0, 0, UTC)),
    ],
)
def test_times_are_read_to_the_microsecond(text: str, expected: datetime) -> None:
    assert parse_rfc3339(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T03:00:00",
        "2026-11-22T03:00Z",
        "20261122T030000Z",
        "2026-W47-7T03:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-22T24:00:01Z",
        "2026-11-22T03:60:00Z",
        "2026-11-22T03:00:00.Z",
        "2026-11-22T03:00:00+5:00",
        "2026-11-22T03:00:00 Z",
        "2026-11-22T03:00:00+25:00",
        "٢٠٢٦-11-22T03:00:00Z",
        "2026-11-22T03:00:00Z\n",
        " 2026-11-22T03:00:00Z",
        "2026-11-22T03:00:00Ⅴ",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "\0",
    ],
)
def test_nothing_else_is_a_time(text: str) -> None:
    assert parse_rfc3339(text) is None
