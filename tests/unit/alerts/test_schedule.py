from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from logstreamd.alerts.schedule import instant_at, is_due, offset_of

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
INTERVALS = st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds))
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(st.text(), INTERVALS, TIMES)
def test_an_instant_has_come_less_than_an_interval_ago_and_is_the_same_until_the_next(
    name: str, interval: timedelta, now: datetime
) -> None:
    offset = offset_of(name, interval)
    assert timedelta() <= offset < interval
    assert offset.microseconds == 0
    instant = instant_at(now, interval, offset)
    assert timedelta() <= now - instant < interval
    assert instant_at(instant, interval, offset) == instant
    assert instant_at(instant + interval - timedelta(microseconds=1), interval, offset) == instant
    assert instant_at(instant + interval, interval, offset) == instant + interval


def test_groups_are_spread_over_the_interval() -> None:
    seconds = Counter(offset_of(f"group {number}", MINUTE) // timedelta(seconds=15) for number in range(400))
    assert set(seconds) == {0, 1, 2, 3}
    assert max(seconds.values()) < 150


def test_an_instant_is_evaluated_once_and_again_only_when_the_clock_was_put_back_by_more_than_an_interval() -> None:
    assert is_due(NOON, None, MINUTE)
    assert not is_due(NOON, NOON, MINUTE)
    assert is_due(NOON + MINUTE, NOON, MINUTE)
    assert not is_due(NOON - MINUTE, NOON, MINUTE)
    assert is_due(NOON - 2 * MINUTE, NOON, MINUTE)
