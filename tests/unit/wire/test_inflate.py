from __future__ import annotations

import gzip
import random
import struct
import sys
import zlib

import pytest

from logstreamd.wire import inflate as module
from logstreamd.wire.inflate import MAX_RATIO, InflateError, TooLargeError, inflate

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress}
both = pytest.mark.parametrize("encoding", ["gzip", "zstd"])


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@both
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB])
def test_what_was_compressed_comes_back(encoding: str, size: int) -> None:
    body = noise(size)
    assert inflate(COMPRESS[encoding](body), encoding, max_bytes=4 * MIB) == body


@both
@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 2 * MIB])
def test_the_end_of_the_output_may_fall_on_the_end_of_a_step(encoding: str, size: int) -> None:
    body = (noise(30_000) * (size // 30_000 + 1))[:size]  # a few steps of output from one piece of input
    assert inflate(COMPRESS[encoding](body), encoding, max_bytes=size) == body


@both
def test_parts_one_after_the_other_are_one_body(encoding: str) -> None:
    parts = [b"one", b"", noise(100_000), b"four"]
    assert inflate(b"".join(map(COMPRESS[encoding], parts)), encoding, max_bytes=MIB) == b"".join(parts)


@both
def test_a_body_may_have_a_thousand_parts_and_not_without_end(encoding: str) -> None:
    part = COMPRESS[encoding](b"x")
    assert inflate(part * 1_000, encoding, max_bytes=MIB) == b"x" * 1_000
    with pytest.raises(InflateError, match="more than 1100 "):
        inflate(COMPRESS[encoding](b"") * 100_000, encoding, max_bytes=MIB)


@both
def test_the_largest_body_allowed_is_taken_and_not_one_byte_more(encoding: str) -> None:
    body = noise(5000)
    assert inflate(COMPRESS[encoding](body), encoding, max_bytes=5000) == body
    with pytest.raises(TooLargeError, match="decompresses to more than 4999 bytes"):
        inflate(COMPRESS[encoding](body), encoding, max_bytes=4999)


def test_an_identity_body_has_the_same_bound() -> None:
    assert inflate(b"12345", "identity", max_bytes=5) == b"12345"
    with pytest.raises(TooLargeError, match="6 bytes, expected no more than 5"):
        inflate(b"123456", "identity", max_bytes=5)


@both
def test_a_bomb_is_left_at_the_ratio_not_at_the_end(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(64 * MIB))
    assert len(bomb) * MAX_RATIO < 64 * MIB
    with pytest.raises(TooLargeError, match="times its size"):
        inflate(bomb, encoding, max_bytes=1 << 40)


@both
def test_a_short_body_may_have_any_ratio(encoding: str) -> None:
    assert inflate(COMPRESS[encoding](bytes(MIB)), encoding, max_bytes=2 * MIB) == bytes(MIB)


@both
def test_a_body_cut_off_anywhere_is_refused(encoding: str) -> None:
    whole = COMPRESS[encoding](b"some lines of text\n" * 10)
    for length in range(len(whole)):
        with pytest.raises(InflateError):
            inflate(whole[:length], encoding, max_bytes=MIB)


@both
@pytest.mark.parametrize("garbage", [b"x", b"\0" * 20, b"{}" * 100_000])
def test_something_behind_the_end_is_refused(encoding: str, garbage: bytes) -> None:
    with pytest.raises(InflateError):
        inflate(COMPRESS[encoding](b"text") + garbage, encoding, max_bytes=MIB)


def test_a_flipped_byte_of_gzip_is_found() -> None:
    whole = bytearray(gzip.compress(noise(1000)))
    whole[500] ^= 1
    with pytest.raises(InflateError, match="gzip: "):
        inflate(bytes(whole), "gzip", max_bytes=MIB)


def test_zlib_and_raw_deflate_are_not_gzip() -> None:
    for body in (zlib.compress(b"text"), zlib.compress(b"text")[2:-4], b"text"):
        with pytest.raises(InflateError, match="gzip: "):
            inflate(body, "gzip", max_bytes=MIB)


def test_a_zstd_frame_that_asks_for_a_giant_window_is_refused() -> None:
    # RFC 8878 section 3.1.1: magic, descriptor without single segment, window of 2^(10+21) bytes, one empty last block
    frame = struct.pack("<IBB", 0xFD2FB528, 0, 21 << 3) + b"\x01\0\0"
    with pytest.raises(InflateError, match="zstd: "):
        inflate(frame, "zstd", max_bytes=MIB)
    allowed = struct.pack("<IBB", 0xFD2FB528, 0, 13 << 3) + b"\x01\0\0"
    assert inflate(allowed, "zstd", max_bytes=MIB) == b""


@pytest.mark.parametrize("encoding", ["", "br", "deflate", "GZIP", "gzip, gzip"])
def test_an_unknown_encoding_is_named(encoding: str) -> None:
    with pytest.raises(InflateError, match="must be one of gzip, zstd, identity"):
        inflate(b"", encoding, max_bytes=1)


@both
def test_memory_grows_by_steps_not_by_what_a_part_announces(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STEP_BYTES", 10)
    monkeypatch.setattr(module, "_FEED_BYTES", 7)
    body = noise(1000)
    assert inflate(COMPRESS[encoding](body) * 2, encoding, max_bytes=2000) == body * 2
