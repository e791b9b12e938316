"""What must hold for every stream, however it is cut into reads."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch
from logstreamd.wire.framing import PLAUSIBLE_FACTOR, Framer, trim_datagram

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
        b"1",
        b"5",
        b"12",
        b"0",
        b"<34>x",
        b"5 <1>ab",
        b"40 <",
        b"999 <",
        b"\xff",
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=12), max_size=30).map(b"".join)
LIMIT = 16


def frames_of(pieces: list[bytes], max_rows: int = 1000) -> list[tuple[bytes, int]]:
    """Feed a stream piece by piece, with a fresh batch whenever one is full; return frames with their flags."""
    framer = Framer(max_frame_bytes=LIMIT)
    found: list[tuple[bytes, int]] = []
    for piece in pieces:
        while piece:
            batch = Batch("test", max_rows=max_rows)
            consumed = framer.split(piece, batch, 0, 0)
            assert consumed > 0
            assert consumed == len(piece) or batch.full
            piece = piece[consumed:]
            found += zip(batch.frames(), batch.flags, strict=True)
    batch = Batch("test")
    framer.finish(batch, 0, 0)
    assert len(batch) <= 1
    assert not framer.mid_frame
    return found + list(zip(batch.frames(), batch.flags, strict=True))


@given(STREAMS, st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 3))
@example(b"5 <1>ab\r\n5 <1>cd", [1], 1)
@example(b"x" * (LIMIT + 1) + b"\r\n<1>y\n", [LIMIT + 1], 1)
def test_any_split_of_any_stream_into_reads_and_batches_gives_the_same_frames(
    stream: bytes, sizes: list[int], max_rows: int
) -> None:
    pieces, start, turn = [], 0, 0
    while start < len(stream):
        pieces.append(stream[start : start + sizes[turn % len(sizes)]])
        start += len(pieces[-1])
        turn += 1
    assert frames_of(pieces, max_rows) == frames_of([stream])


@given(STREAMS)
def test_frames_are_bounded_and_only_cut_ones_are_flagged(stream: bytes) -> None:
    found = frames_of([stream])
    for position, (frame, flags) in enumerate(found):
        assert len(frame) <= LIMIT
        assert flags in (0, TRUNCATED, PARTIAL)
        assert flags != TRUNCATED or len(frame) == LIMIT
        assert flags != PARTIAL or position == len(found) - 1


COUNTED = st.builds(lambda start, rest: start + rest, st.sampled_from([b"<", b"{"]), st.binary(max_size=LIMIT - 1))


@given(st.lists(COUNTED, max_size=20))
def test_counted_frames_come_out_as_they_went_in(frames: list[bytes]) -> None:
    stream = b"".join(b"%d %b" % (len(frame), frame) for frame in frames)
    assert [frame for frame, _ in frames_of([stream])] == frames


@given(st.lists(st.binary(min_size=1, max_size=LIMIT), max_size=20))
def test_lines_come_out_as_they_went_in(lines: list[bytes]) -> None:
    plain = [b"<" + line.translate(None, b"\r\n\0") for line in lines]
    kept = [line for line in plain if len(line) <= LIMIT]
    assert [frame for frame, _ in frames_of([b"".join(line + b"\n" for line in kept)])] == kept


@given(st.integers(LIMIT + 1, LIMIT * PLAUSIBLE_FACTOR), st.integers(1, 50))
def test_a_frame_counted_too_long_is_one_cut_frame_and_the_next_one_is_whole(count: int, read_bytes: int) -> None:
    stream = b"%d <%b" % (count, b"x" * (count - 1)) + b"5 <1>ab"
    pieces = [stream[start : start + read_bytes] for start in range(0, len(stream), read_bytes)]
    assert frames_of(pieces) == [(b"<" + b"x" * (LIMIT - 1), TRUNCATED), (b"<1>ab", 0)]


@given(st.binary(min_size=1, max_size=3 * LIMIT))
def test_a_datagram_is_one_frame_without_its_line_ends(datagram: bytes) -> None:
    frame, flags = trim_datagram(datagram, LIMIT)
    bare = datagram.rstrip(b"\r\n\0")
    assert (frame, flags) == ((bare, 0) if len(bare) <= LIMIT else (bare[:LIMIT], TRUNCATED))
