from __future__ import annotations

import pytest

from logstreamd.alerts.rate_limit import RateLimit


def test_after_a_quiet_minute_a_minutes_worth_may_go_at_once() -> None:
    limit = RateLimit(4)
    assert limit.available(0) == 4
    for left in (3, 2, 1, 0):
        limit.take(0)
        assert limit.available(0) == left
    assert limit.available(14.9) == 0
    assert limit.available(15) == 1
    assert limit.available(10_000) == 4


@pytest.mark.parametrize("per_minute", [1, 4, 7, 60])
def test_over_an_hour_it_grants_no_more_than_it_may(per_minute: int) -> None:
    limit, now, granted = RateLimit(per_minute), 0.0, 0
    while now < 3_600:
        if limit.available(now):
            limit.take(now)
            granted += 1
        now = max(limit.next_at(now), now + 0.01)
    assert granted in (per_minute * 60 + per_minute - 1, per_minute * 60 + per_minute)


def test_it_says_when_the_next_one_may_go() -> None:
    limit = RateLimit(2)
    assert limit.next_at(5) == 5
    limit.take(5)
    limit.take(5)
    assert limit.next_at(5) == pytest.approx(35)
    assert limit.available(limit.next_at(5)) == 1
