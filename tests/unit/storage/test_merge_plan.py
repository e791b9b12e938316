"""Which blocks become one, and that the work comes to an end."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.storage.merge_plan import (
    MAX_MERGED_BYTES,
    MAX_MERGED_ROWS,
    SMALL_BYTES,
    SMALL_ROWS,
    Extent,
    plan_merges,
)


def row_of(sizes: Iterable[int], *, surveyed: bool = True, bytes_per_row: int = 100) -> list[Extent]:
    """Blocks beside each other with so many rows."""
    blocks, first = [], 0
    for size in sizes:
        blocks.append(Extent(first, first + size - 1, size, size * bytes_per_row, surveyed))
        first += size
    return blocks


def planned(blocks: list[Extent]) -> list[list[int]]:
    return [[block.row_count for block in run] for run in plan_merges(blocks)]


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ([], []),
        ([1], []),
        ([1, 1], [[1, 1]]),
        ([600, 1, 1, 1], [[1, 1, 1]]),
        ([1, 1, 1, 600], [[1, 1, 1]]),
        ([1, 1, 600, 1, 1], [[1, 1], [1, 1]]),
        ([600, 300, 300], [[600, 300, 300]]),
        ([1000, 1, 1000], [[1000, 1, 1000]]),
        ([1, 1, SMALL_ROWS, 1, 1], [[1, 1], [1, 1]]),
        ([SMALL_ROWS, SMALL_ROWS], []),
        ([2_000] * 9, [[2_000] * 8]),
    ],
)
def test_small_neighbours_become_one_when_that_doubles_each(sizes: list[int], runs: list[list[int]]) -> None:
    assert planned(row_of(sizes)) == runs


def test_a_block_that_nobody_looked_at_is_taken_up_even_alone_and_at_any_size() -> None:
    assert planned(row_of([65_535, 16_384, 10, 10], surveyed=False)) == [[65_535], [16_384], [10, 10]]


def test_blocks_of_large_rows_count_by_their_bytes() -> None:
    assert planned(row_of([1] * 4, bytes_per_row=SMALL_BYTES)) == []
    per_row = SMALL_BYTES - 1
    most = MAX_MERGED_BYTES // per_row
    assert planned(row_of([1] * most * 2, bytes_per_row=per_row)) == [[1] * most] * 2


def test_a_block_that_lies_within_another_is_left_alone_and_so_is_the_other() -> None:
    outer = Extent(0, 99, 50, 5_000)
    inner = Extent(40, 49, 10, 1_000)
    behind = [Extent(100, 109, 10, 1_000), Extent(110, 119, 10, 1_000)]
    assert plan_merges([outer, inner, *behind]) == [tuple(behind)]


def test_a_block_that_has_not_settled_ends_a_run() -> None:
    blocks = row_of([1, 1, 1, 1, 1])
    blocks[2] = Extent(2, 2, 1, 100, settled=False)
    assert planned(blocks) == [[1, 1], [1, 1]]


@given(st.lists(st.integers(1, 3_000), max_size=60))
def test_merging_ends_with_few_blocks_and_reads_no_row_too_often(sizes: list[int]) -> None:
    reads = dict.fromkeys(range(sum(sizes)), 0)
    blocks = row_of(sizes)
    while runs := plan_merges(blocks):
        for run in runs:
            assert sum(block.row_count for block in run) <= MAX_MERGED_ROWS
            for part in run:
                for row in range(part.first_id, part.last_id + 1):
                    reads[row] += 1
        merged = {run[0].first_id: sum(block.row_count for block in run) for run in runs}
        gone = {part.first_id for run in runs for part in run}
        kept = {block.first_id: block.row_count for block in blocks if block.first_id not in gone}
        blocks = row_of(rows for _, rows in sorted((merged | kept).items()))
    assert max(reads.values(), default=0) <= 11
