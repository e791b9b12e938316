"""Which measurements counts by minute, service and severity can answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import measurement_of
from logstreamd.alerts.rollup import answerable_by_counts, whole_minutes
from logstreamd.alerts.rule import Rule
from logstreamd.query.filter import parse_filter

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def answerable(query: str, by: tuple[str, ...], condition: str) -> bool:
    keys = tuple(map(read_group_key, by))
    rule = Rule("A", read_condition(condition), timedelta(minutes=5), parse_filter(query), keys)
    return answerable_by_counts(measurement_of(rule, NOON))


@pytest.mark.parametrize(
    ("query", "by", "condition"),
    [
        ("", (), "count > 10"),
        ("level>=error", ("service",), "rate > 5/s"),
        ("service:shop,blog -level:debug", ("service", "level"), "count > 10"),
        ("service:web-* OR service:/^api/ OR service:*", (), "spike"),
        ("service!=shop", ("service",), "ratio(level>=error) > 5%"),
        ("level>=error", (), "distinct(service) > 5"),
    ],
)
def test_what_looks_at_service_and_level_only_is_answered_by_counts(
    query: str, by: tuple[str, ...], condition: str
) -> None:
    assert answerable(query, by, condition)


@pytest.mark.parametrize(
    ("query", "by", "condition"),
    [
        ("timeout", (), "count > 10"),
        ("host:web1", (), "count > 10"),
        ("level:error OR -attrs.x:1", (), "count > 10"),
        ("facility:auth", (), "count > 10"),
        ("attrs.n>5", (), "count > 10"),
        ("peer:10.0.0.0/8", (), "count > 10"),
        ("", ("host",), "count > 10"),
        ("", ("attrs.service",), "count > 10"),
        ("", ("service",), "ratio(timeout) > 5%"),
        ("", ("service",), "distinct(host) > 5"),
        ("", ("service",), "absent"),
    ],
)
def test_everything_else_is_not(query: str, by: tuple[str, ...], condition: str) -> None:
    assert not answerable(query, by, condition)


@pytest.mark.parametrize(
    ("start", "end", "whole"),
    [
        (0, 300, (0, 300)),
        (1, 300, (60, 300)),
        (0, 299, (0, 240)),
        (59.5, 180.5, (60, 180)),
        (1, 119, None),
        (0, 59, None),
    ],
)
def test_the_whole_minutes_of_a_window(start: float, end: float, whole: tuple[int, int] | None) -> None:
    def at(seconds: float) -> datetime:
        return NOON + timedelta(seconds=seconds)

    expected = None if whole is None else (at(whole[0]), at(whole[1]))
    assert whole_minutes(at(start), at(end)) == expected
