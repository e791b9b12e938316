"""Streams and datagrams become frames (RFC 6587, RFC 5426)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch
from logstreamd.wire.framing import PLAUSIBLE_FACTOR, Framer, trim_datagram

LIMIT = 64


def frames_of(*pieces: bytes, limit: int = LIMIT) -> list[tuple[bytes, int]]:
    framer, batch = Framer(max_frame_bytes=limit), Batch("test")
    for piece in pieces:
        assert framer.split(piece, batch, 0, 0) == len(piece)
    framer.finish(batch, 0, 0)
    return list(zip(batch.frames(), batch.flags, strict=True))


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (b"<1>a\n<1>b\n", [b"<1>a", b"<1>b"]),
        (b"<1>a\r\n<1>b\r\n", [b"<1>a", b"<1>b"]),
        (b"<1>a\0<1>b\0", [b"<1>a", b"<1>b"]),
        (b"4 <1>a4 <1>b", [b"<1>a", b"<1>b"]),
        (b"4 <1>a\n4 <1>b\r\n", [b"<1>a", b"<1>b"]),
        (b'7 {"a":1}<1>a\n', [b'{"a":1}', b"<1>a"]),
        (b"<1>a\n4 <1>b<1>c\n", [b"<1>a", b"<1>b", b"<1>c"]),
        (b"8 <1>a\nb\0c", [b"<1>a\nb\0c"]),
        (b"2025-07-29 12:34:56 an application's line\n", [b"2025-07-29 12:34:56 an application's line"]),
        (b"12345\n", [b"12345"]),
        (b"12 monkeys\n", [b"12 monkeys"]),
        (b"0 <1>a\n", [b"0 <1>a"]),
        (b"04 <1>a\n", [b"04 <1>a"]),
        (b"-4 <1>a\n", [b"-4 <1>a"]),
        (b"\xef\xbc\x94 <1>a\n", [b"\xef\xbc\x94 <1>a"]),
        (b"\n\r\n\0\n", []),
        (b"<1>a\n \n <1>b\n", [b"<1>a", b" <1>b"]),
        (b"<1>a\x0bb\x0cc\x1cd\xc2\x85e\xe2\x80\xa8f\n", [b"<1>a\x0bb\x0cc\x1cd\xc2\x85e\xe2\x80\xa8f"]),
        (b"<1>a", [b"<1>a"]),
        (b"12", [b"12"]),
        (b"12 ", [b"12 "]),
    ],
)
def test_each_message_is_framed_as_its_first_bytes_say(stream: bytes, frames: list[bytes]) -> None:
    assert frames_of(stream) == [(frame, 0) for frame in frames]


@pytest.mark.parametrize("count", [LIMIT * PLAUSIBLE_FACTOR + 1, 2**31, 2**63, 10**500])
def test_an_absurd_count_is_not_believed_and_the_stream_goes_on_at_the_next_line(count: int) -> None:
    line = b"%d <1>a" % count
    expected = (line, 0) if len(line) <= LIMIT else (line[:LIMIT], TRUNCATED)
    assert frames_of(line + b"\n4 <1>b") == [expected, (b"<1>b", 0)]


def test_a_half_frame_at_close_is_kept_and_marked() -> None:
    assert frames_of(b"16 <1>1") == [(b"<1>1", PARTIAL)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0", b""])
def test_a_line_of_exactly_the_limit_is_whole_and_one_byte_more_is_cut(end: bytes) -> None:
    assert frames_of(b"x" * LIMIT + end) == [(b"x" * LIMIT, 0)]
    assert frames_of(b"x" * (LIMIT + 1) + end) == [(b"x" * LIMIT, TRUNCATED)]


def test_a_counted_frame_over_the_limit_is_cut_and_skipped_by_its_count() -> None:
    stream = b"%d <1>%b" % (LIMIT + 20, b"\n" * (LIMIT + 17)) + b"4 <1>b"
    assert frames_of(stream) == [(b"<1>" + b"\n" * (LIMIT - 3), TRUNCATED), (b"<1>b", 0)]


def test_a_full_batch_stops_the_split_at_a_frame_and_the_rest_goes_into_the_next() -> None:
    framer, first, second = Framer(), Batch("test", max_rows=1), Batch("test")
    consumed = framer.split(b"<1>a\n<1>b\n", first, 0, 0)
    assert (consumed, list(first.frames())) == (5, [b"<1>a"])
    framer.split(memoryview(b"<1>a\n<1>b\n")[consumed:], second, 0, 0)
    assert list(second.frames()) == [b"<1>b"]


@pytest.mark.parametrize("piece", [b"<1>a", b"4", b"4 ", b"4 <", b"5 <1>a", b"x" * 200, b"200 <" + b"x" * 100])
def test_the_framer_says_that_it_stands_inside_a_frame(piece: bytes) -> None:
    framer, batch = Framer(max_frame_bytes=LIMIT), Batch("test")
    assert not framer.mid_frame
    framer.split(piece, batch, 0, 0)
    assert framer.mid_frame
    framer.finish(batch, 0, 0)
    assert not framer.mid_frame


@pytest.mark.parametrize("unit", [b"x", b"1", b" ", b"\r", b"1000 <x"])
def test_a_stream_without_any_end_is_held_only_up_to_the_limit(unit: bytes) -> None:
    framer, batch = Framer(max_frame_bytes=LIMIT), Batch("test")
    for _ in range(1000):
        framer.split(unit * 100, batch, 0, 0)
        assert len(framer._held) <= LIMIT + 1


def _calls(work: Callable[[], None]) -> int:
    """Count the calls, of Python and of C, that some work makes: its cost without a clock."""
    calls = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("unit", [b"x", b"1", b"\n", b"\0", b"4 <1>a", b"<1>a\n", b"<1>a\0", b"900 <x"])
@pytest.mark.parametrize("read_bytes", [1, 10_000])
def test_the_work_grows_with_the_bytes_and_not_with_their_square(unit: bytes, read_bytes: int) -> None:
    def feed(size: int) -> Callable[[], None]:
        stream = (unit * size)[:size]
        pieces = [stream[start : start + read_bytes] for start in range(0, size, read_bytes)]

        def work() -> None:
            framer, batch = Framer(max_frame_bytes=1000), Batch("test", max_rows=65_535)
            for piece in pieces:
                framer.split(piece, batch, 0, 0)

        return work

    assert _calls(feed(20_000)) <= 2.2 * _calls(feed(10_000)) + 100


def test_a_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Framer(max_frame_bytes=0)


@pytest.mark.parametrize(
    ("datagram", "frame", "flags"),
    [
        (b"<1>a", b"<1>a", 0),
        (b"<1>a\r\n\0", b"<1>a", 0),
        (b"<1>a\n<1>b\n", b"<1>a\n<1>b", 0),
        (b"\n", b"", 0),
        (b"x" * LIMIT + b"\n", b"x" * LIMIT, 0),
        (b"x" * (LIMIT + 1), b"x" * LIMIT, TRUNCATED),
    ],
)
def test_a_datagram_is_one_message_without_the_line_ends_at_its_end(datagram: bytes, frame: bytes, flags: int) -> None:
    assert trim_datagram(datagram, LIMIT) == (frame, flags)
