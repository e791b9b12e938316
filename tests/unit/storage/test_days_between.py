from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from logstreamd.storage.partitions import days_between

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-02-28T00:00:00", "2026-02-28T23:59:59.999999", ["2026-02-28"]),
        ("2026-02-28T23:59:59.999999", "2026-03-01T00:00:00", ["2026-02-28", "2026-03-01"]),
        ("1969-12-31T23:00:00", "1970-01-01T00:00:00", ["1969-12-31", "1970-01-01"]),
    ],
)
def test_the_days_between_two_times_are_utc_days(first: str, last: str, days: list[str]) -> None:
    times = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, last)]
    first_us, last_us = ((time - EPOCH) // timedelta(microseconds=1) for time in times)
    assert days_between(first_us, last_us) == [date.fromisoformat(day) for day in days]
