from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.bursts import Bursts, BurstSettings
from generator.schedule import Schedule


def steady(rate: float) -> Schedule:
    return Schedule(repeat(rate).__next__)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1, 3, 7.3, 10, 1_000, 50_000])
def test_ten_seconds_have_ten_times_the_rate_wherever_they_begin(rate: float) -> None:
    times = steady(rate).due(40, 10**7)
    for start in (0, 3.37, 11.1, 25.0):
        count = sum(start <= time < start + 10 for time in times)
        assert abs(count - 10 * rate) <= 1


def test_lines_of_a_low_rate_are_spread_evenly() -> None:
    assert steady(10).due(0.5, 100) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert steady(0.5).due(7, 100) == pytest.approx([0, 2, 4, 6])


@given(
    st.lists(st.floats(0, 3), max_size=30),
    st.lists(st.floats(0.3, 300), min_size=10, max_size=10),
    st.integers(1, 50),
)
def test_hiccups_change_nothing_about_when_lines_are_due(
    wake_ups: list[float], rates: Sequence[float], most: int
) -> None:
    whole = Schedule(iter([*rates, *repeat(1.0, 100)]).__next__).due(9, 10**6)
    schedule = Schedule(iter([*rates, *repeat(1.0, 100)]).__next__)
    pieces: list[float] = []
    now = 0.0
    for step in wake_ups:
        now = min(now + step, 9)
        pieces += schedule.due(now, most)
    while batch := schedule.due(9, most):
        pieces += batch
    assert pieces == whole
    assert abs(len(whole) - sum(rates[:9])) <= 2
    assert whole == sorted(whole)


def test_a_day_at_a_crooked_rate_does_not_drift() -> None:
    schedule = steady(1 / 3)
    assert schedule.give_up_before(86_400) == pytest.approx(86_400 / 3, abs=1)


def test_what_was_given_up_is_counted_and_the_rest_is_on_time() -> None:
    schedule = steady(10)
    assert schedule.give_up_before(5) == 50
    assert schedule.due(5.25, 100) == pytest.approx([5.0, 5.1, 5.2])
    assert schedule.give_up_before(5) == 0


def test_a_burst_is_what_was_drawn() -> None:
    settings = BurstSettings(frequency=0.3, multiplier=4, duration_seconds=2)
    bursts = Bursts(10, settings, Random(7))
    truth_rng = Random(7)
    truth: list[float] = []
    begun = 0
    while len(truth) < 200:
        if truth_rng.random() < 0.3:
            truth += [10 * 4 * truth_rng.uniform(1, 2)] * 2
            begun += 1
        else:
            truth.append(10)
    rates = [bursts.next_rate() for _ in range(len(truth))]
    assert rates == truth
    assert bursts.count == begun > 20
    assert all(rate == 10 or 40 <= rate <= 80 for rate in rates)


def test_the_lines_of_each_second_follow_its_burst() -> None:
    settings = BurstSettings(frequency=0.3, multiplier=4, duration_seconds=2)
    truth = Bursts(100, settings, Random(3))
    rates = [truth.next_rate() for _ in range(30)]
    times = Schedule(Bursts(100, settings, Random(3)).next_rate).due(30, 10**6)
    for second, rate in enumerate(rates):
        assert abs(sum(second <= time < second + 1 for time in times) - rate) <= 1


def test_without_settings_there_are_no_bursts() -> None:
    bursts = Bursts(10, None, Random(1))
    assert {bursts.next_rate() for _ in range(1_000)} == {10}
    assert bursts.count == 0
