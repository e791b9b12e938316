from __future__ import annotations

import pytest

from logstreamd.query.band import usual_band


def test_the_band_is_as_wide_as_chance_makes_it() -> None:
    band = usual_band([100] * 9, factor=3)
    assert (band.low, band.middle, band.high) == (70, 100, 130)


def test_the_band_is_as_wide_as_the_counts_vary() -> None:
    band = usual_band([80, 90, 100, 110, 120], factor=2)
    assert band.middle == 100
    assert band.high == pytest.approx(100 + 2 * 1.4826 * 10)


def test_one_earlier_burst_does_not_move_the_band() -> None:
    assert usual_band([100] * 8 + [100_000], factor=3) == usual_band([100] * 9, factor=3)


def test_nothing_at_all_is_usual_up_to_some_lines() -> None:
    band = usual_band([0, 0, 0, 0], factor=4)
    assert (band.low, band.high) == (0, 4)
