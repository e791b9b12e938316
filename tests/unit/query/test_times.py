from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.query.errors import BadParameterError
from logstreamd.query.times import parse_time

NOW = datetime(2026, 11, 22, 3, 0, 0, 5, UTC)


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("now", timedelta()),
        (" now ", timedelta()),
        ("-15m", timedelta(minutes=-15)),
        ("now-15m", timedelta(minutes=-15)),
        ("now - 15m", timedelta(minutes=-15)),
        ("-500ms", timedelta(milliseconds=-500)),
        ("-10s", timedelta(seconds=-10)),
        ("-1h", timedelta(hours=-1)),
        ("-7d", timedelta(days=-7)),
        ("-2w", timedelta(weeks=-2)),
        ("+5m", timedelta(minutes=5)),
        ("-0s", timedelta()),
    ],
)
def test_times_may_be_relative_to_now(text: str, difference: timedelta) -> None:
    assert parse_time(text, "start", NOW) == NOW + difference


def test_times_may_be_stamps() -> None:
    expected = datetime(2026, 11, 22, 2, 0, 0, 250_000, UTC)
    assert parse_time("2026-11-22T03:00:00.25+01:00", "start", NOW) == expected
    assert parse_time("2026-11-22T03:00:00.25 01:00", "start", NOW) == expected  # a "+" not quoted in a URL
    assert parse_time("2026-11-22T02:00:00.25Z", "start", NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "15m", "-15", "-m", "-1y", "-1.5h", "--1h", "-1h-1h", "2026-11-22", "2026-11-22T03:00:00", "-٣m"],
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(
        BadParameterError, match="must be a time like 2026-11-22T03:00:00Z, 'now' or relative like -15m"
    ):
        parse_time(text, "start", NOW)


@pytest.mark.parametrize("text", ["-999999999w", "+999999999d"])
def test_a_time_outside_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError, match="outside the calendar") as raised:
        parse_time(text, "end", NOW)
    assert raised.value.field == "end"
