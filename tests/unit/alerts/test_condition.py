"""What conditions say of what was measured."""

from __future__ import annotations

from datetime import timedelta

import pytest

from logstreamd.alerts.aggregate import Measured
from logstreamd.alerts.condition import Verdict
from logstreamd.alerts.condition_text import read_condition

FIVE_MINUTES = timedelta(minutes=5)


def judge(text: str, value: float, volume: int = 1_000, usual: tuple[int, ...] = ()) -> Verdict:
    return read_condition(text).judge(Measured((), value, volume, usual), FIVE_MINUTES)


@pytest.mark.parametrize(
    ("text", "holding", "other"),
    [
        ("count > 10", 11, 10),
        ("count >= 10", 10, 9),
        ("count < 10", 9, 10),
        ("count <= 10", 10, 11),
        ("count == 10", 10, 11),
        ("count != 10", 11, 10),
        ("rate > 5/s", 1501, 1500),
        ("rate > 5/m", 26, 25),
        ("rate >= 12/h", 1, 0),
        ("ratio(x) > 5%", 0.051, 0.05),
        ("distinct(host) > 2", 3, 2),
        ("absent", 300.001, 300),
    ],
)
def test_a_condition_holds_on_one_side_of_its_threshold(text: str, holding: float, other: float) -> None:
    assert judge(text, holding).holds
    assert not judge(text, other).holds


def test_the_value_of_a_rate_is_in_its_own_unit() -> None:
    assert judge("rate > 5/m", 30).value == 6


def test_a_ratio_of_too_few_lines_is_not_judged() -> None:
    assert not judge("ratio(x) > 5% and count >= 20", 0.5, volume=19).holds
    assert judge("ratio(x) > 5% and count >= 20", 0.5, volume=20).holds


def test_a_ratio_of_no_lines_never_holds() -> None:
    assert not judge("ratio(x) < 5%", 0.0, volume=0).holds
    assert judge("ratio(x) < 5%", 0.0, volume=1).holds


@pytest.mark.parametrize(
    ("side", "value", "holds"),
    [
        ("above", 131, True), ("above", 130, False), ("above", 0, False),
        ("below", 69, True), ("below", 70, False), ("below", 1_000, False),
        ("both", 131, True), ("both", 69, True), ("both", 100, False),
    ],
)  # fmt: skip
def test_a_spike_is_outside_the_band_on_the_side_that_was_asked_for(side: str, value: int, holds: bool) -> None:
    text = f"spike(factor=3, windows=4, min=10, side={side})"
    assert judge(text, value, usual=(100, 100, 100, 100)).holds is holds


def test_a_spike_has_at_least_as_many_lines_as_it_must() -> None:
    assert not judge("spike(windows=4, min=10)", 9, usual=(0, 0, 0, 0)).holds
    assert judge("spike(windows=4, min=10)", 10, usual=(0, 0, 0, 0)).holds


def test_a_slump_had_at_least_as_many_lines_as_it_must() -> None:
    assert not judge("spike(windows=4, min=100, side=below)", 0, usual=(99, 99, 99, 99)).holds
    assert judge("spike(windows=4, min=99, side=below)", 0, usual=(99, 99, 99, 99)).holds


def test_a_spike_is_not_judged_before_half_of_the_windows_are_known() -> None:
    assert not judge("spike(windows=8)", 1_000, usual=(0, 0, 0)).holds
    assert judge("spike(windows=8)", 1_000, usual=(0, 0, 0, 0)).holds
