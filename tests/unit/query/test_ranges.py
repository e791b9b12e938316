from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from logstreamd.query.ranges import Range, day_bounds, halve, merge_ranges

DAY = date(2026, 11, 22)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def block(first: int, last: int, *, day: date = DAY, second: int = 0, rows: int = 1) -> Range:
    ts = NOON + timedelta(seconds=second)
    return Range(day, first, last, ts, ts, rows)


def batch(number: int, count: int = 10, **more: int) -> Range:
    return block(number << 16, (number << 16) + count - 1, **more)


def test_neighbouring_batches_become_one_range() -> None:
    (merged,) = merge_ranges([batch(3, second=9, rows=5), batch(1, second=2, rows=3), batch(2, second=4, rows=4)])
    assert merged == Range(
        DAY, 1 << 16, (3 << 16) + 9, NOON + timedelta(seconds=2), NOON + timedelta(seconds=9), rows=12
    )


def test_a_batch_between_keeps_two_ranges_apart() -> None:
    assert merge_ranges([batch(3), batch(1)]) == [batch(1), batch(3)]


def test_a_late_batch_within_a_merged_block_is_read_once() -> None:
    merged = block(1 << 16, 9 << 16, rows=50)
    assert merge_ranges([batch(5), merged, batch(7)])[0].last_id == 9 << 16
    assert len(merge_ranges([batch(5), merged, batch(7)])) == 1


def test_days_stay_apart() -> None:
    other = block(1 << 16, (1 << 16) + 9, day=DAY + timedelta(days=1))
    assert merge_ranges([other, batch(1)]) == [batch(1), other]


def test_a_day_ends_where_the_next_begins() -> None:
    assert day_bounds(DAY) == (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


_BLOCKS = st.builds(
    lambda first, length, day: block(first, first + length, day=DAY + timedelta(days=day)),
    st.integers(0, 1 << 20),
    st.integers(0, 1 << 17),
    st.integers(0, 2),
)


@given(st.lists(_BLOCKS, max_size=12))
def test_ranges_of_a_day_are_disjoint_and_hold_every_block(blocks: list[Range]) -> None:
    ranges = merge_ranges(blocks)
    for lower, upper in pairwise(ranges):
        assert (lower.day, lower.last_id) < (upper.day, upper.first_id)
    for one in blocks:
        assert any(one.day == r.day and r.first_id <= one.first_id and one.last_id <= r.last_id for r in ranges)
    assert sum(one.rows for one in ranges) == len(blocks)


def test_two_blocks_of_about_the_same_size_are_a_half_each() -> None:
    assert halve([batch(1, rows=105), batch(9, rows=95)]) == ([batch(1, rows=105)], [batch(9, rows=95)])


def test_a_range_across_the_middle_is_cut() -> None:
    lower, upper = halve([block(0, 999, rows=1000)])
    assert lower == [block(0, 499, rows=500)]
    assert upper == [block(500, 999, rows=500)]


@given(st.lists(_BLOCKS, min_size=1, max_size=12), st.lists(st.integers(1, 10**6), min_size=12, max_size=12))
def test_halves_have_every_id_once(blocks: list[Range], rows: list[int]) -> None:
    ranges = merge_ranges(replace(one, rows=count) for one, count in zip(blocks, rows, strict=False))
    lower, upper = halve(ranges)
    joined = sorted([*lower, *upper], key=lambda one: (one.day, one.first_id))
    assert [*lower, *upper] == joined
    assert sum(one.last_id - one.first_id + 1 for one in joined) == sum(
        one.last_id - one.first_id + 1 for one in ranges
    )
    assert all(one.first_id <= one.last_id for one in joined)
    assert sum(one.rows for one in joined) == sum(one.rows for one in ranges)
