"""Rows that filters look at, with a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from batches import batch_of, encoded
from filter_strategies import FILTERS
from hypothesis import given, settings

from logstreamd.query.filter import matches, parse_filter
from logstreamd.query.tail import look as look_module
from logstreamd.query.tail.look import Chunk, Found, Question, look
from logstreamd.query.tail.rows import EncodedRows

LINES = (
    "<11>1 2026-11-22T02:00:00Z web-1 shop - - - payment timed out",
    '<14>1 2026-11-22T02:00:00Z web-2 api - - [ex@1 user="Müller"] paid 5 €',
    '{"message": "json", "service": "api", "level": "warning", "user_id": 42, "trace_id": "t-1"}',
    "raw",
)


def chunk_of(*messages: str, number: int = 1) -> Chunk:
    one = encoded(batch_of(messages), number)
    return Chunk(EncodedRows(one), one.blocks)


def never() -> float:
    return 0.0


def looked(chunks: list[Chunk], *texts: str, clock: Callable[[], float] = never, budget: float = 1.0) -> list[Found]:
    questions = [Question(parse_filter(text)) for text in texts]
    return look(chunks, questions, prefix="p~", budget_seconds=budget, clock=clock)


def ids(found: Found) -> list[int]:
    return [row_id - 65_536 for row_id, _ in found.events]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [0, 1, 2, 3]),
        ("level>=warning", [0, 2]),
        ("service:api", [1, 2]),
        ("attrs.user_id:42 OR timed", [0, 2]),
        ("müller", [1]),
        ("peer:192.0.2.0/24 format:raw", [3]),
        ("neverseen", []),
    ],
)
def test_each_filter_finds_its_rows(text: str, rows: list[int]) -> None:
    assert ids(looked([chunk_of(*LINES)], text)[0]) == rows


def test_an_event_is_written_once_for_all_who_get_it() -> None:
    first, second = looked([chunk_of("a")], "", "a")
    assert first.events[0][1] is second.events[0][1]
    assert first.events[0][1].startswith(b"id: p~65536\nevent: log\ndata: {")


def test_a_block_that_can_not_match_is_not_looked_at() -> None:
    rows = chunk_of(*LINES)
    unreadable = Chunk([None] * 4, rows.blocks, unread=9)  # type: ignore[list-item]
    for text in ("neverseen", "level>=alert", "service:other", "host:db-*", "trace_id:other"):
        assert looked([unreadable], text) == [Found()]


@settings(max_examples=60, deadline=None)
@given(tree=FILTERS)
def test_blocks_never_hide_a_row_that_matches(tree: Any) -> None:
    chunk = chunk_of(*LINES)
    if any(matches(tree, row) for row in chunk.rows):
        assert Question(tree).may_match(chunk.blocks)


def test_rows_of_a_block_that_are_not_at_hand_are_unread() -> None:
    chunk = chunk_of("a b")
    partly = Chunk(chunk.rows, chunk.blocks, unread=7)
    found, other = looked([partly], "a", "c")
    assert (ids(found), found.unread, other.unread) == ([0], 7, 0)


class Clock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_what_there_is_no_time_for_is_unread_and_every_filter_has_its_share() -> None:
    chunks = [chunk_of(*"abcdefghij"), chunk_of(*"klmnopqrst", number=2)]
    first, second = looked(chunks, "", "-x", clock=Clock(), budget=16)
    assert 0 < len(first.events) < 10
    assert 0 < len(second.events) < 10
    assert [len(one.events) + one.unread for one in (first, second)] == [20, 20]


def test_no_more_is_found_than_fits_into_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_module, "MAX_ROWS", 3)
    (found,) = looked([chunk_of(*"abcde")], "")
    assert (ids(found), found.unread) == ([0, 1, 2], 2)
    monkeypatch.setattr(look_module, "MAX_BYTES", found.bytes - 1)
    monkeypatch.setattr(look_module, "MAX_ROWS", 100)
    (found,) = looked([chunk_of(*"abcde")], "")
    assert (ids(found), found.unread) == ([0, 1, 2], 2)
