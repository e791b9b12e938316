"""Every stream vector gives its frames, however the stream is cut into reads, with both twins of the framer."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from vectors import Vector, deviations, expected_frames, load

from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch
from logstreamd.wire.framing import Framer

MakeFramer = type[Framer]
VECTORS = load("frames")
LISTED = deviations()


@pytest.fixture(params=["python", "compiled"])
def make_framer(request: pytest.FixtureRequest) -> MakeFramer:
    if request.param == "python":
        return Framer
    compiled = pytest.importorskip("logstreamd.wire._split", reason="the compiled split is not built")
    found: MakeFramer = compiled.Framer
    return found


def _sizes(vector: Vector) -> Iterator[list[int]]:
    length = max(len(vector.raw), 1)
    yield from ([1] * length, [2] * length, [7] * length, [length])
    if "chunks" in vector.entry:
        yield vector.entry["chunks"]
    seeded = random.Random(vector.id)
    for _ in range(5):
        yield [seeded.randint(1, 20) for _ in range(length)]


def _frames(make_framer: MakeFramer, vector: Vector, sizes: list[int]) -> tuple[list[bytes], list[int]]:
    limit = vector.entry.get("limits", {}).get("max_message", 65_536)
    framer, batch, start = make_framer(max_frame_bytes=limit), Batch("test"), 0
    for size in sizes:
        piece = vector.raw[start : start + size]
        assert framer.split(piece, batch, 0, 0) == len(piece)
        start += size
    framer.finish(batch, 0, 0)
    return [frame.rstrip(b"\r\n") for frame in batch.frames()], list(batch.flags)


def _holds(make_framer: MakeFramer, vector: Vector) -> bool:
    frames, flags = _frames(make_framer, vector, [len(vector.raw)])
    if vector.entry.get("expect_frame_error"):  # strict framers give up; here every byte is in some frame
        joined = b"".join(frames)
        partial = vector.entry.get("partial_frame", "").encode()
        kept_whole = joined.rstrip().endswith(vector.raw.rstrip()[-4:])
        return kept_whole and (not partial or (frames, flags) == ([partial], [PARTIAL]))
    if vector.entry.get("limits"):
        assert TRUNCATED in flags
    return frames == [frame.rstrip(b"\r\n") for frame in expected_frames(vector)]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_a_stream_gives_its_expected_frames_unless_it_is_listed_as_a_deviation(
    vector: Vector, make_framer: MakeFramer
) -> None:
    assert _holds(make_framer, vector) is (vector.id not in LISTED)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_a_stream_gives_the_same_frames_however_it_is_cut(vector: Vector, make_framer: MakeFramer) -> None:
    whole = _frames(make_framer, vector, [max(len(vector.raw), 1)])
    for sizes in _sizes(vector):
        assert _frames(make_framer, vector, sizes) == whole


def test_every_listed_deviation_is_a_vector() -> None:
    known = {vector.id for vector in (*load("message"), *VECTORS)}
    assert set(LISTED) <= known
