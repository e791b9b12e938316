"""Texts of conditions, and where the mistakes in them are; those in ``bad/`` are not repeated here."""

from __future__ import annotations

from datetime import timedelta

import pytest

from logstreamd.alerts.condition import (
    Absent,
    Comparison,
    Condition,
    Count,
    DistinctValues,
    Rate,
    Ratio,
    Spike,
    number_text,
)
from logstreamd.alerts.condition_text import CONDITION_MAX_CHARS, read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.mistake import MistakeError
from logstreamd.query.filter import parse_filter

ERRORS = parse_filter("level>=error")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("count > 10", Count(Comparison(">", 10))),
        ("  count==0 ", Count(Comparison("==", 0))),
        ("count != 0.5", Count(Comparison("!=", 0.5))),
        ("rate > 5/s", Rate(Comparison(">", 5), "s")),
        ("rate <= 0.5 / m", Rate(Comparison("<=", 0.5), "m")),
        ("rate >= 100/h", Rate(Comparison(">=", 100), "h")),
        ("ratio(level>=error) > 0.05", Ratio(ERRORS, Comparison(">", 0.05))),
        ("ratio ( level>=error )>5 %  and count>=20", Ratio(ERRORS, Comparison(">", 0.05), 20)),
        ("ratio((a OR b) /x\\)/) < 1", Ratio(parse_filter("(a OR b) /x\\)/"), Comparison("<", 1))),
        ("distinct(host) > 20", DistinctValues(read_group_key("host"), Comparison(">", 20))),
        ("distinct( attrs.user-id ) >= 3", DistinctValues(read_group_key("attrs.user-id"), Comparison(">=", 3))),
        ("absent", Absent(timedelta(days=1))),
        ("absent(lookback=90m)", Absent(timedelta(minutes=90))),
        ("spike", Spike(4.0, 24, 10, "above")),
        ("spike( side = both , factor=2.5,min=1,windows=12 )", Spike(2.5, 12, 1, "both")),
    ],
)
def test_a_condition_is_read_and_written(text: str, condition: Condition) -> None:
    assert read_condition(text) == condition
    assert read_condition(str(condition)) == condition


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "a condition begins with count, rate, ratio, distinct, absent, spike (got end)"),
        ("count", 6, "expected a comparison, such as > 10 (got end)"),
        ("count > 1.2.3", 9, "expected a number (got '1.2.3')"),
        ("count > 1000000000000000", 9, "expected a number (got '1000000000000000')"),
        ("count <> 5", 7, "expected >, >=, <, <=, == or != (got '<>'; did you mean !=?)"),
        ("rate > 5/d", 9, "expected a unit behind the rate: /s, /m or /h (got '/d')"),
        ("ratio > 5", 7, "expected '(' and a filter, such as ratio(level>=error) (got '>')"),
        ("ratio( ) > 5%", 7, "expected a filter, such as ratio(level>=error)"),
        ("ratio(a > 5%", 6, "'(' has no ')' behind it"),
        ("ratio(a) > 200%", 12, "a ratio is a share, 0..1 (got 2)"),
        ("ratio(a) > 5% and count > 20", 15, "expected nothing more behind 'ratio(a) > 5%' (got 'and')"),
        ("absent(5m)", 8, "expected NAME=VALUE with one of lookback (got '5m)')"),
        ("absent(lookback=soon)", 17, "lookback must be a duration such as 500ms, 10s, 5m, 1h or 7d (got 'soon')"),
        ("spike(factor=0.1)", 14, "factor must be 0.5..100 (got '0.1')"),
        ("spike(windows=3)", 15, "windows must be 4..288 (got 3)"),
        ("spike(min=1.5)", 11, "min must be a whole number 1..1000000000 (got 1.5)"),
        ("spike(side=up)", 12, "side must be one of above, below, both (got 'up')"),
        ("spike(min=3, min=4)", 14, "option min is there twice"),
        ("spike(mode=3)", 7, "no option mode (there are factor, windows, min, side)"),
        ("spike(min=3", 12, "expected ',' or ')' behind this option (got end)"),
    ],
)
def test_a_mistake_is_found_at_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(MistakeError) as mistake:
        read_condition(text)
    assert (mistake.value.offset + 1, str(mistake.value)) == (column, message)


def test_the_longest_condition_is_read_and_one_character_more_is_refused() -> None:
    longest = "count > 1".ljust(CONDITION_MAX_CHARS)
    assert read_condition(longest) == Count(Comparison(">", 1))
    with pytest.raises(MistakeError, match="at most 4096 characters"):
        read_condition(longest + " ")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (10, "10"), (0.05, "0.05"), (-2.5, "-2.5"), (1e6, "1000000"), (1e15, "1000000000000000"),
        (1 / 3, "0.333333333333333"), (1e-7, "0.0000001"),
    ],
)  # fmt: skip
def test_numbers_are_written_without_exponent(number: float, text: str) -> None:
    assert number_text(number) == text
