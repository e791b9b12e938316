"""One client's queue: bounded in rows and bytes, and honest about what it left out."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from logstreamd.query.filter import parse_filter
from logstreamd.query.tail.look import Found, Question
from logstreamd.query.tail.position import Position
from logstreamd.query.tail.subscription import Subscription, pieces_of

HERE = Position(1, "5:5:", "5:5:")


def subscription(**bounds: int) -> Subscription:
    return Subscription(Question(parse_filter("")), **bounds)


def rows(*ids: int, size: int = 10) -> Any:
    return pieces_of(Found([(row_id, b"%d|".rjust(size) % row_id) for row_id in ids]))


def skipped(text: bytes) -> list[tuple[int | None, int | None]]:
    found = [json.loads(data) for data in re.findall(rb"event: skipped\ndata: (.*)\n\n", text)]
    return [(one["skipped"], one["unread"]) for one in found]


async def test_what_is_offered_comes_out_at_once_and_in_order() -> None:
    one = subscription()
    assert one.offer(rows(1, 2), 0, HERE) == 0
    assert one.offer(rows(3), 0, HERE) == 0
    assert (await one.next()).split() == [b"1|", b"2|", b"3|"]
    assert (one.waiting_rows, one.position) == (0, HERE)


async def test_a_client_that_waits_is_woken() -> None:
    one = subscription()
    waiting = asyncio.create_task(one.next())
    await asyncio.sleep(0)
    one.offer(rows(1), 0, HERE)
    assert b"1|" in await waiting


@pytest.mark.parametrize("bounds", [{"max_rows": 3}, {"max_bytes": 30}])
async def test_rows_beyond_the_bound_are_left_out_and_told_at_their_place(bounds: dict[str, int]) -> None:
    one = subscription(**bounds)
    assert one.offer(rows(1, 2), 0, HERE) == 0
    assert one.offer(rows(3, 4), 0, HERE) == 2
    assert one.offer(rows(5), 7, HERE) == 0
    text = await one.next()
    assert skipped(text) == [(2, 0), (0, 7)]
    assert text.index(b"2|") < text.index(b"skipped") < text.index(b"5|") < text.rindex(b"skipped")
    assert one.offer(rows(6, 7), 0, HERE) == 0


async def test_what_is_left_out_in_a_row_is_told_once() -> None:
    one = subscription(max_rows=1)
    one.offer(rows(1), 0, HERE)
    for _ in range(100):
        one.offer(rows(2, 3), 5, HERE)
    assert skipped(await one.next()) == [(200, 500)]


async def test_a_single_row_larger_than_the_bound_is_taken_when_nothing_else_waits() -> None:
    one = subscription(max_bytes=10)
    assert one.offer(rows(1, size=100), 0, HERE) == 0
    assert one.offer(rows(2, size=100), 0, HERE) == 1


async def test_rows_the_client_has_from_elsewhere_are_left_out_once() -> None:
    one = subscription()
    one.has_shown(iter([2, 3]))
    one.offer(rows(1, 2, 4), 0, HERE)
    one.offer(rows(3), 0, HERE)
    one.offer(rows(2), 0, HERE)
    assert (await one.next()).split() == [b"1|", b"4|", b"2|"]


async def test_a_client_of_which_nobody_knows_what_it_missed_is_told_at_its_place() -> None:
    one = subscription()
    one.offer(rows(1), 0, HERE)
    for _ in range(3):
        one.lose_track()
    one.offer(rows(2), 0, HERE)
    text = await one.next()
    assert skipped(text) == [(None, None)]
    assert text.index(b"1|") < text.index(b"null") < text.index(b"2|")


async def test_the_end_frees_what_waits() -> None:
    one = subscription()
    one.offer(rows(1), 0, HERE)
    one.close()
    assert (one.waiting_rows, one.closed, await one.next()) == (0, True, b"")


def test_many_rows_are_cut_into_pieces_that_fit_alone() -> None:
    pieces = rows(*range(250))
    assert [len(piece.events) for piece in pieces] == [100, 100, 50]
