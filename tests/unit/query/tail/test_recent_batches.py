"""Batches that the writer stores, held for tails within a bound."""

from __future__ import annotations

import pytest
from batches import batch_of, encoded

from logstreamd.query.tail import recent as recent_module
from logstreamd.query.tail.recent import EVICTED, RecentBatches


def test_nothing_is_held_while_nobody_watches() -> None:
    recent = RecentBatches()
    kicks: list[int] = []
    recent.kick = lambda: kicks.append(1)
    recent.storing(encoded(batch_of(["a"])))
    recent.stored()
    assert (recent.bytes, recent.take(1), kicks) == (0, None, [])


def test_a_batch_is_given_out_once() -> None:
    recent = RecentBatches()
    recent.watch(lambda _: True)
    one = encoded(batch_of(["a"]))
    recent.storing(one)
    recent.storing(one)  # another attempt
    assert recent.take(1) is one
    assert (recent.take(1), recent.bytes) == (None, 0)


def test_what_nobody_wants_is_not_held() -> None:
    recent = RecentBatches()
    recent.watch(lambda blocks: blocks[0].row_count > 1)
    recent.storing(encoded(batch_of(["a"]), 1))
    recent.storing(encoded(batch_of(["a", "b"]), 2))
    assert (recent.take(1), recent.take(2) is not None) == (None, True)


def test_the_oldest_go_when_there_are_too_many_bytes_and_their_numbers_stay() -> None:
    size = RecentBatches()
    size.watch(lambda _: True)
    size.storing(encoded(batch_of(["a" * 1000])))
    recent = RecentBatches(max_bytes=2 * size.bytes)
    recent.watch(lambda _: True)
    for number in range(1, 6):
        recent.storing(encoded(batch_of(["a" * 1000]), number))
        assert recent.bytes <= 2 * size.bytes
    assert [recent.take(number) is EVICTED for number in range(1, 6)] == [True, True, True, False, False]


def test_numbers_are_not_kept_for_ever_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_module, "_MAX_NUMBERS", 3)
    recent = RecentBatches(max_bytes=0)
    recent.watch(lambda _: True)
    for number in range(1, 6):
        recent.storing(encoded(batch_of(["a"]), number))
    assert [recent.take(number) is EVICTED for number in range(1, 6)] == [False, False, True, True, True]


def test_when_nobody_watches_any_more_everything_is_let_go() -> None:
    recent = RecentBatches()
    recent.watch(lambda _: True)
    recent.storing(encoded(batch_of(["a"])))
    recent.rest()
    assert (recent.bytes, recent.take(1)) == (0, None)
