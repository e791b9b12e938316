from __future__ import annotations

import asyncio

import pytest
from manual_spool import ManualSpool, turns

from logstreamd.inputs import gather
from logstreamd.inputs.gather import Gatherer
from logstreamd.metrics import Metrics
from logstreamd.wire.batch import PARTIAL, TRUNCATED

NEVER = 3600.0


class Input:
    """A gatherer with a spool behind it and a ledger beside it."""

    def __init__(self, *, rows: int = 3, nbytes: int = 1 << 20, age: float = NEVER, drop: bool = False) -> None:
        self.spool = ManualSpool()
        self.metrics = Metrics(version="test", wire="python")
        self.gatherer = Gatherer(
            "in",
            self.spool.append,
            self.metrics,
            max_rows=rows,
            max_bytes=nbytes,
            max_age_seconds=age,
            drop_when_full=drop,
        )
        self.congestion: list[bool] = []
        self.gatherer.on_congestion = self.congestion.append
        self.metrics.watch_input("in", in_flight=self.gatherer.count_in_flight, spooled=lambda: len(self.spool.frames))

    def receive(self, *frames: bytes, flags: int = 0) -> None:
        for frame in frames:
            batch = self.gatherer.batch
            batch.append(frame, 1_000_000, batch.peer_id("192.0.2.1"), flags)
            self.gatherer.added(len(frame))

    @property
    def dropped(self) -> dict[str, int]:
        samples = next(iter(self.metrics.dropped_frames.collect())).samples
        return {s.labels["reason"]: int(s.value) for s in samples if s.name.endswith("_total") and s.value}

    @property
    def ledger(self) -> dict[str, int]:
        return self.metrics.ledger("in").as_dict()


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%04d" % number for number in range(start, start + count)]


async def test_a_batch_goes_off_when_it_has_its_rows() -> None:
    one = Input(rows=3)
    one.receive(b"a", b"b")
    assert one.spool.offers == 0
    one.receive(b"c")
    assert one.spool.offers == 1
    one.spool.keep()
    assert one.spool.frames == [b"a", b"b", b"c"]


async def test_a_batch_goes_off_with_the_frame_that_crosses_its_bytes() -> None:
    one = Input(rows=100, nbytes=10)
    one.receive(b"12345", b"6789")
    assert one.spool.offers == 0
    one.receive(b"crossing the line")
    one.spool.keep()
    assert one.spool.frames == [b"12345", b"6789", b"crossing the line"]


async def test_other_bounds_are_those_of_the_batches_that_are_begun_then() -> None:
    one = Input(rows=3)
    one.receive(b"a")
    one.gatherer.apply(max_rows=1, max_bytes=1 << 20, max_age_seconds=NEVER)
    one.receive(b"b")
    assert one.spool.offers == 0
    one.receive(b"c")
    one.spool.keep()
    await turns()
    one.receive(b"d")
    one.spool.keep()
    assert [len(batch) for batch in one.spool.kept] == [3, 1]


async def test_a_lone_message_goes_off_when_it_is_old_enough() -> None:
    one = Input(age=0.001)
    one.receive(b"lonely")
    assert one.spool.offers == 0
    await asyncio.wait_for(one.spool.changed.wait(), 5)
    one.spool.keep()
    assert one.spool.frames == [b"lonely"]


async def test_a_batch_that_is_full_before_its_time_is_sent_once() -> None:
    one = Input(rows=1, age=0.001)
    one.spool.prompt = True
    one.receive(b"a")
    one.receive(b"b")
    await turns()
    await asyncio.sleep(0.01)  # any timer that were left would strike now
    assert one.spool.offers == 2
    assert one.spool.frames == [b"a", b"b"]


async def test_while_the_spool_is_busy_the_next_batch_grows() -> None:
    one = Input(rows=100, age=0.001)
    one.receive(b"first")
    await asyncio.wait_for(one.spool.changed.wait(), 5)
    one.spool.changed.clear()
    one.receive(*numbered(50))
    await asyncio.sleep(0.01)
    assert one.spool.offers == 1
    one.spool.keep()
    await asyncio.wait_for(one.spool.changed.wait(), 5)
    assert len(one.gatherer.batch) == 0
    one.spool.keep()
    assert [len(batch) for batch in one.spool.kept] == [1, 50]


async def test_while_the_spool_has_no_room_the_next_batch_grows_too() -> None:
    one = Input(rows=100, age=0.001)
    one.spool.has_room = False
    one.receive(b"first")
    await asyncio.wait_for(one.spool.changed.wait(), 5)
    for frame in numbered(50):
        one.receive(frame)
        await asyncio.sleep(0.001)
    assert len(one.gatherer.batch) == 50  # not fifty batches of one, of which four fit
    assert one.congestion == []


async def test_batches_reach_the_spool_one_at_a_time_and_in_order() -> None:
    one = Input(rows=2)
    one.receive(*numbered(8))
    for _ in range(4):
        assert one.spool.waiting == 1
        one.spool.keep()
        await turns()
    assert one.spool.frames == numbered(8)


async def test_a_batch_the_spool_could_not_keep_goes_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_RETRY_SECONDS", 0)
    one = Input(rows=2)
    one.receive(*numbered(6))
    for _ in range(3):
        one.spool.fail()
        await turns()
        assert one.ledger["in_flight"] == 6
    one.spool.open_up()
    await turns(9)
    assert one.spool.frames == numbered(6)
    assert one.dropped == {}


async def test_a_cancelled_promise_is_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_RETRY_SECONDS", 0)
    one = Input(rows=1)
    one.receive(b"a")
    one.spool._waiting.popleft()[1].cancel()
    await turns()
    one.spool.open_up()
    await turns()
    assert one.spool.frames == [b"a"]


async def test_without_room_it_asks_again_after_a_pause_or_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_RETRY_SECONDS", NEVER)
    one = Input(rows=1)
    one.spool.has_room = False
    one.receive(b"a", b"b", b"c")
    await turns()
    assert one.spool.offers == 1  # it does not knock with every frame
    one.spool.open_up()
    one.gatherer.room()
    await turns(9)
    assert one.spool.frames == [b"a", b"b", b"c"]


async def test_four_batches_waiting_stop_the_input_and_fewer_let_it_go_on() -> None:
    one = Input(rows=1)
    one.receive(b"being spooled", b"1", b"2", b"3")
    assert one.congestion == []
    one.receive(b"4")
    assert one.congestion == [True]
    assert one.gatherer.congested
    one.spool.keep()
    await turns()
    assert one.congestion == [True, False]


async def test_a_batch_that_comes_back_counts_towards_congestion() -> None:
    one = Input(rows=1)
    one.receive(*numbered(4))
    assert not one.gatherer.congested
    one.spool.fail()
    await turns()
    assert one.congestion == [True]


async def test_an_input_that_cannot_wait_drops_the_newest_and_counts_each() -> None:
    one = Input(rows=2, drop=True)
    one.receive(*numbered(20))
    assert one.dropped == {"spool_full": 10}
    one.spool.open_up()
    await turns(9)
    assert one.spool.frames == numbered(10)
    assert one.ledger["imbalance"] == 0


async def test_memory_is_bounded_while_the_spool_fails_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_RETRY_SECONDS", 0)
    one = Input(rows=2, drop=True)
    for _ in range(50):
        one.receive(*numbered(6))
        if one.spool.waiting:
            one.spool.fail()
        await turns()
    assert one.ledger["in_flight"] <= 2 * (gather._MAX_SEALED + 1)
    assert one.ledger["imbalance"] == 0


async def test_the_ledger_closes_between_the_spools_commit_and_our_hearing_of_it() -> None:
    one = Input(rows=1)
    one.receive(b"a")
    one.spool.keep()
    assert one.ledger["spooled"] == 1
    assert one.ledger["imbalance"] == 0  # no turn of the loop in between


async def test_marks_of_frames_are_counted() -> None:
    one = Input(rows=10)
    one.receive(b"whole")
    one.receive(b"cut", flags=TRUNCATED)
    one.receive(b"half", flags=PARTIAL)
    one.receive(b"both", flags=TRUNCATED | PARTIAL)
    read = one.metrics.registry.get_sample_value
    assert read("logstreamd_truncated_frames_total", {"input": "in"}) == 2
    assert read("logstreamd_partial_frames_total", {"input": "in"}) == 2
    assert read("logstreamd_received_bytes_total", {"input": "in"}) == len("wholecuthalfboth")


async def test_senders_that_say_nothing_do_not_use_up_the_numbers_of_senders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gather, "_MAX_PEERS", 5)
    one = Input(rows=100)
    for number in range(20):
        one.gatherer.batch.peer_id(f"2001:db8::{number:x}")
        one.gatherer.added(0)
    assert len(one.gatherer.batch.peers) < 5
    assert one.spool.offers == 0
    for number in range(5):
        one.gatherer.batch.append(b"x", 0, one.gatherer.batch.peer_id(f"2001:db8::{number:x}"))
        one.gatherer.added(1)
    assert one.spool.offers == 1  # and with messages the batch goes off


async def test_flush_brings_everything_to_the_spool() -> None:
    one = Input(rows=2)
    one.receive(*numbered(5))
    flushing = asyncio.create_task(one.gatherer.flush(5))
    await turns()
    one.spool.open_up()
    assert await flushing == 0
    assert one.spool.frames == numbered(5)
    assert one.ledger["in_flight"] == 0


async def test_flush_of_nothing_is_done_at_once() -> None:
    assert await Input().gatherer.flush(0) == 0


async def test_what_the_spool_does_not_take_in_time_is_given_up_and_counted() -> None:
    one = Input(rows=2)
    one.spool.has_room = False
    one.receive(*numbered(5))
    assert await one.gatherer.flush(0) == 5
    assert one.dropped == {"shutdown": 5}
    assert one.ledger["in_flight"] == 0
    assert one.ledger["imbalance"] == 0


@pytest.mark.parametrize("ends", ["keep", "fail"])
async def test_what_the_spool_works_on_when_it_is_given_up_is_counted_as_it_ends(ends: str) -> None:
    one = Input(rows=2)
    one.receive(*numbered(4))
    assert await one.gatherer.flush(0) == 2
    assert one.ledger["in_flight"] == 2
    getattr(one.spool, ends)()
    await turns()
    assert one.ledger["in_flight"] == 0
    assert one.dropped == {"shutdown": 2 if ends == "keep" else 4}
    assert one.ledger["imbalance"] == 0
