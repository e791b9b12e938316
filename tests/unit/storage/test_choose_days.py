"""Which days go as a whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from logstreamd.storage.retention_plan import RetentionPolicy, RetentionRule, StoredDay, choose_days

TODAY = date(2026, 3, 1)


def days_ago(*ages: int, byte_count: int = 100) -> list[StoredDay]:
    return [StoredDay(TODAY - timedelta(days=age), rows=10, byte_count=byte_count) for age in ages]


@pytest.mark.parametrize(
    ("policy", "unplaced", "gone"),
    [
        (RetentionPolicy(), 0, []),
        (RetentionPolicy(days=2), 0, [4, 3]),
        (RetentionPolicy(days=1), 0, [4, 3, 2]),
        (RetentionPolicy(max_bytes=500), 0, []),
        (RetentionPolicy(max_bytes=499), 0, [4]),
        (RetentionPolicy(max_bytes=300), 0, [4, 3]),
        (RetentionPolicy(max_bytes=300), 1, [4, 3, 2]),
        (RetentionPolicy(max_bytes=1), 0, [4, 3, 2, 1]),
        (RetentionPolicy(days=3, max_bytes=350), 0, [4, 3]),
    ],
)
def test_the_oldest_days_go_until_the_policy_holds_and_today_never(
    policy: RetentionPolicy, unplaced: int, gone: list[int]
) -> None:
    expired = choose_days(days_ago(4, 3, 2, 1, 0), policy, TODAY, unplaced)
    assert [(TODAY - one.day).days for one in expired] == gone


def test_each_day_says_why_it_goes() -> None:
    expired = choose_days(days_ago(3, 2, 1), RetentionPolicy(days=2, max_bytes=150), TODAY)
    assert [one.why for one in expired] == ["older than 2 days", "200 bytes are stored, 150 may be"]
    assert [(one.rows, one.byte_count) for one in expired] == [(10, 100)] * 2


def test_days_to_come_stay() -> None:
    assert choose_days(days_ago(0, -1, -2), RetentionPolicy(days=1, max_bytes=1), TODAY) == []


def test_a_rule_ends_at_a_whole_minute_and_says_what_it_is_about() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
    assert RetentionRule(2).cutoff(now) == datetime(2026, 3, 2, 5, 6, tzinfo=UTC)
    assert str(RetentionRule(1, (6, 7))) == "info, debug older than 1 day"
    assert str(RetentionRule(2, (7,), ("nginx", "api"))) == "debug of nginx, api older than 2 days"
    assert str(RetentionRule(2, services=("nginx",))) == "of nginx older than 2 days"
