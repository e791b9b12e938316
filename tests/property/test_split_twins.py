"""The compiled split does what the readable one does, call by call, for any stream however it is cut."""

from __future__ import annotations

from itertools import cycle

import pytest
from conformance.vectors import Vector, load
from hypothesis import example, given
from hypothesis import strategies as st

from logstreamd.wire import framing
from logstreamd.wire.batch import MAX_ROWS, Batch

compiled = pytest.importorskip("logstreamd.wire._split", reason="the compiled split is not built")

# Small alphabets of what matters to the framing make counts, ends and limits meet.
PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\0",
        b"\r",
        b" ",
        b"<",
        b"{",
        b"0",
        b"1",
        b"17",
        b"<34>x",
        b"5 <1>ab",
        b"16 <",
        b"40 <",
        b"999 {",
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=12), max_size=40).map(b"".join)
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=8)
LIMITS = st.sampled_from([1, 2, 7, 16, 100, 65_536])


class Twins:
    """Both framers on one stream; every difference is an assertion that fails."""

    def __init__(self, max_frame_bytes: int, max_rows: int = 16_384, max_bytes: int = 2 << 20) -> None:
        self.python = framing.Framer(max_frame_bytes=max_frame_bytes)
        self.compiled = compiled.Framer(max_frame_bytes=max_frame_bytes)
        self.limits = {"max_rows": max_rows, "max_bytes": max_bytes}
        self.batches = self._new_batches()
        self.calls = 0

    def _new_batches(self) -> tuple[Batch, Batch]:
        return Batch("test", **self.limits), Batch("test", **self.limits)

    def split(self, data: bytes) -> int:
        self.calls += 1
        mine, other = self.batches
        consumed = self.python.split(data, mine, self.calls % 65_536, -self.calls)
        assert self.compiled.split(data, other, self.calls % 65_536, -self.calls) == consumed
        self.compare()
        if mine.full:
            self.batches = self._new_batches()
        return consumed

    def feed(self, data: bytes) -> None:
        while data:
            data = data[self.split(data) :]

    def finish(self) -> None:
        mine, other = self.batches
        self.python.finish(mine, 1, 2)
        self.compiled.finish(other, 1, 2)
        self.compare()

    def compare(self) -> None:
        mine, other = self.batches
        for part in ("data", "ends", "received_at", "peer_ids", "flags"):
            assert getattr(other, part) == getattr(mine, part), part
        assert other.full == mine.full
        assert self.compiled.mid_frame == self.python.mid_frame
        assert self.compiled._held == self.python._held


@given(STREAMS, SIZES, LIMITS, st.integers(1, 4), st.sampled_from([1, 10, 40, 1 << 20]))
@example(b"5 <1>ab\r\n5 <1>cd", [1], 16, 1, 1)
@example(b"x" * 17 + b"\r\n<1>y\n", [17], 16, 1, 1 << 20)
@example(b"256 <" + b"x" * 255 + b"257 <\n", [3], 16, 4, 1 << 20)
def test_both_give_the_same_batches_after_every_read(
    stream: bytes, sizes: list[int], max_frame_bytes: int, max_rows: int, max_bytes: int
) -> None:
    twins, turns = Twins(max_frame_bytes, max_rows, max_bytes), cycle(sizes)
    while stream:
        size = next(turns)
        twins.feed(stream[:size])
        stream = stream[size:]
    twins.finish()


@given(STREAMS, LIMITS)
def test_both_give_the_same_batch_for_a_stream_in_one_read(stream: bytes, max_frame_bytes: int) -> None:
    twins = Twins(max_frame_bytes)
    twins.feed(stream)
    twins.finish()


@pytest.mark.parametrize("vector", [*load("frames"), *load("message")], ids=lambda vector: vector.id)
def test_both_frame_every_vector_alike_however_it_is_cut(vector: Vector) -> None:
    for max_frame_bytes in (8, 64, 65_536):
        for size in (1, 2, 7, len(vector.raw) or 1):
            twins = Twins(max_frame_bytes)
            for start in range(0, len(vector.raw), size):
                twins.feed(vector.raw[start : start + size])
            twins.finish()


def test_a_large_stream_fills_batches_to_the_row_and_to_the_byte() -> None:
    stream = b"".join(b"<13>%d%b\n" % (number, b"x" * (number % 300)) for number in range(20_000))
    for max_rows, max_bytes in ((MAX_ROWS, 1 << 30), (1_000, 1 << 30), (MAX_ROWS, 100_000)):
        twins = Twins(65_536, max_rows, max_bytes)
        for start in range(0, len(stream), 256 * 1024):
            twins.feed(stream[start : start + 256 * 1024])
        twins.finish()


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_it_reads_from_whatever_holds_bytes_and_lets_go_of_it(wrap: type) -> None:
    data, batch = wrap(b"<1>a\n"), Batch("test")
    assert compiled.Framer().split(data, batch, 0, 0) == 5
    assert list(batch.frames()) == [b"<1>a"]
    if isinstance(data, bytearray):
        data.clear()  # refused while anybody looks into it
    batch.data.clear()


def test_a_peer_number_that_does_not_fit_is_refused_before_anything_is_appended() -> None:
    batch = Batch("test")
    with pytest.raises(OverflowError):
        compiled.Framer().split(b"<1>a\n", batch, 65_536, 0)
    assert (len(batch), batch.data) == (0, b"")


def test_a_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        compiled.Framer(max_frame_bytes=0)


def test_a_full_batch_was_not_given_room_for_much_more_than_it_holds() -> None:
    batch, line = Batch("tcp"), b"<14>Nov 22 04:00:00 web-01 shop: " + b"x" * 100 + b"\n"
    framer, piece = compiled.Framer(), line * 1_000
    while not batch.full:
        framer.split(piece, batch, 0, 0)
    assert len(batch.data) >= batch.max_bytes
    assert batch.data.__alloc__() < len(batch.data) * 1.15  # an eighth is what a bytearray itself adds
