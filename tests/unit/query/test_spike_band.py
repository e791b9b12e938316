from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median

import pytest

from logstreamd.query.spike_band import MIN_BASELINE_MINUTES, ErrorMinutes, Sought, Spike, find_spikes

FIRST = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOUGHT = Sought(FIRST, FIRST + 60 * MINUTE, FIRST + 120 * MINUTE, baseline_minutes=60, sensitivity=4.0, min_count=10)
"""The second of two hours is looked at."""


def minutes_of(errors: Mapping[int, int], service: str | None = "api") -> ErrorMinutes:
    """Errors by the minute's number; as the database has them, only minutes with some, in any order."""
    some = {number: count for number, count in errors.items() if count}
    return ErrorMinutes(service, [FIRST + number * MINUTE for number in some], list(some.values()))


def spikes(errors: Mapping[int, int] | Sequence[int], sought: Sought = SOUGHT) -> list[Spike]:
    by_number = errors if isinstance(errors, Mapping) else dict(enumerate(errors))
    return find_spikes([minutes_of(by_number)], sought)


def test_a_burst_after_quiet_minutes_is_a_spike_with_its_band() -> None:
    assert spikes([1, 3] * 30 + [2] * 10 + [50] + [2] * 49) == [
        # Half of the hour before differs from its median, 2, by 1, and the other parts by 0: on both sides of 0.5.
        Spike("api", FIRST + 70 * MINUTE, 50, low=0.0, high=7.93, median=2.0, mad=1.0, baseline_minutes=60)
    ]


def test_the_same_number_is_usual_where_it_always_is_like_that() -> None:
    assert spikes([50, 48, 55, 46, 52] * 24) == []
    (spike,) = spikes([50, 48, 55, 46, 52] * 23 + [50, 48, 55, 46, 90])
    assert (spike.median, spike.mad, spike.low, spike.high) == (50.0, 2.0, 21.716, 78.284)  # 50 ± 4 · sqrt(50)


def test_steady_counts_may_vary_by_chance() -> None:
    steady = [100] * 60
    assert spikes([*steady, 140]) == []
    assert [spike.errors for spike in spikes([*steady, 141])] == [141]


def test_minutes_without_errors_count_as_zero() -> None:
    (spike,) = spikes({119: 10})
    assert (spike.minute, spike.errors, spike.median, spike.mad, spike.high) == (FIRST + 119 * MINUTE, 10, 0, 0, 4)
    assert spike.baseline_minutes == 60


def test_fewer_errors_than_asked_for_are_no_spike() -> None:
    assert spikes({119: 9}) == []
    assert len(spikes({119: 9}, replace(SOUGHT, min_count=9))) == 1


def test_less_than_usual_is_no_spike() -> None:
    assert spikes([500] * 60 + [0] * 60) == []


def test_earlier_bursts_do_not_widen_the_band() -> None:
    noisy = [2, 3, 2, 400, 3, 2] * 10
    (spike,) = spikes([*noisy, 20])
    assert (spike.median, spike.mad, spike.high) == (2.5, 0.5, 8.825)  # 2.5 + 4 · sqrt(2.5)


def test_what_lasts_becomes_usual() -> None:
    found = spikes([2] * 60 + [30] * 60)
    assert [spike.minute for spike in reversed(found)] == [FIRST + number * MINUTE for number in range(60, 90)]


def test_only_minutes_that_were_asked_for_are_spikes() -> None:
    assert spikes({30: 100, 59: 100}) == []
    assert [spike.minute for spike in spikes({59: 100, 60: 100, 120: 100})] == [FIRST + 60 * MINUTE]


def test_a_minute_with_too_little_before_it_is_not_judged() -> None:
    since_start = replace(SOUGHT, start=FIRST)
    assert spikes({MIN_BASELINE_MINUTES - 1: 100}, since_start) == []
    (spike,) = spikes({MIN_BASELINE_MINUTES: 100}, since_start)
    assert spike.baseline_minutes == MIN_BASELINE_MINUTES


def test_every_service_has_its_own_band_and_the_newest_spike_comes_first() -> None:
    services = [
        minutes_of(dict.fromkeys(range(120), 80), "busy"),
        minutes_of({80: 80}, "quiet"),
        minutes_of({90: 20, 80: 95}, None),
    ]
    found = [(spike.service, (spike.minute - FIRST) // MINUTE) for spike in find_spikes(services, SOUGHT)]
    assert found == [(None, 90), (None, 80), ("quiet", 80)]


@pytest.mark.parametrize("seed", range(3))
def test_a_spike_is_what_the_definition_says(seed: int) -> None:
    random = Random(seed)
    level = random.choice((0.5, 5, 100))
    counts = [int(random.expovariate(1 / level)) for _ in range(200)]
    sought = Sought(FIRST, FIRST, FIRST + 200 * MINUTE, baseline_minutes=30, sensitivity=2.5, min_count=3)
    expected = {}
    for number in range(MIN_BASELINE_MINUTES, 200):
        before = counts[max(0, number - 30) : number]
        middle = median(before)
        mad = median(abs(count - middle) for count in before)
        width = 2.5 * max(1.4826 * mad, middle**0.5, 1)
        if counts[number] >= 3 and counts[number] > middle + width:
            expected[FIRST + number * MINUTE] = (counts[number], middle, mad, len(before))
    found = spikes(counts, sought)
    assert {one.minute: (one.errors, one.median, one.mad, one.baseline_minutes) for one in found} == expected


async def test_it_runs_in_a_thread() -> None:
    found = await asyncio.to_thread(spikes, {119: 10})
    assert len(found) == 1
    assert found[0].minute.tzinfo is not None
