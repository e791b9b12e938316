from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from logstreamd.query.windows import window_starts

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def test_the_recent_past_is_asked_first_and_everything_last() -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    end = datetime(9999, 1, 1, tzinfo=UTC)
    expected = [ago(seconds=10), ago(minutes=10), ago(hours=10), ago(days=25), start]
    assert list(window_starts(start, end, NOW)) == expected


def test_a_short_range_is_asked_at_once() -> None:
    assert list(window_starts(ago(seconds=5), NOW, NOW)) == [ago(seconds=5)]


def test_a_range_of_the_past_is_asked_from_its_end() -> None:
    assert list(window_starts(ago(days=2), ago(days=1), NOW)) == [
        ago(days=1, seconds=10),
        ago(days=1, minutes=10),
        ago(days=1, hours=10),
        ago(days=2),
    ]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_windows_grow_and_end_with_the_whole_range(before: int, after: int) -> None:
    start, end = NOW - timedelta(seconds=before), NOW + timedelta(seconds=after - 10**8)
    starts = list(window_starts(start, end, NOW))
    assert starts[-1] == start
    assert starts == sorted(starts, reverse=True) and len(starts) <= 5
