from __future__ import annotations

import random
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spooling import make_batch, same

from logstreamd.wire.batch import MAX_ROWS, PARTIAL, TRUNCATED, Batch, FilePosition
from logstreamd.wire.batch_codec import BatchVersionError, CorruptBatch, decode_batch, encode_batch, encoded_bytes


def resealed(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


@given(
    st.text(min_size=1, max_size=20),
    st.lists(
        st.tuples(st.binary(max_size=60), st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.integers(0, 3))
    ),
)
def test_a_batch_comes_back_as_it_was(name: str, frames: list[tuple[bytes, int, str, int]]) -> None:
    batch = Batch(name)
    for frame, received_at, peer, flags in frames:
        batch.append(frame, received_at, batch.peer_id(peer), flags)
    decoded = decode_batch(encode_batch(batch))
    assert same(decoded, batch)
    assert list(decoded.frames()) == [frame for frame, *_ in frames]


def test_a_full_batch_comes_back_as_it_was() -> None:
    batch = make_batch("full", frames=MAX_ROWS, frame_bytes=12)
    assert same(decode_batch(encode_batch(batch)), batch)


def test_a_peer_that_is_not_utf8_survives() -> None:
    batch = Batch("unix")
    batch.append(b"x", 1, batch.peer_id("/run/\udcff.sock"), TRUNCATED | PARTIAL)
    assert decode_batch(encode_batch(batch)).peers == ["/run/\udcff.sock"]


def test_the_size_is_known_before_encoding() -> None:
    batch = make_batch("sized", frames=100)
    assert encoded_bytes(batch) == len(encode_batch(batch))


def test_every_flipped_bit_is_found() -> None:
    body = encode_batch(make_batch("flip"))
    for position in range(len(body)):
        damaged = bytearray(body)
        damaged[position] ^= 1 << random.Random(position).randrange(8)
        with pytest.raises(CorruptBatch):
            decode_batch(bytes(damaged))


def test_every_truncation_and_every_tail_is_found() -> None:
    body = encode_batch(make_batch("cut"))
    for end in range(len(body)):
        with pytest.raises(CorruptBatch):
            decode_batch(body[:end])
    with pytest.raises(CorruptBatch):
        decode_batch(body + b"\0")


def test_a_newer_version_is_named_as_one() -> None:
    body = bytearray(encode_batch(make_batch("newer"))[:-4])
    body[4:6] = (3).to_bytes(2, "little")
    with pytest.raises(BatchVersionError, match="version 3"):
        decode_batch(resealed(bytes(body)))


@pytest.mark.parametrize("field", range(8, 24, 4))
def test_an_announced_length_is_never_allocated(field: int) -> None:
    body = bytearray(encode_batch(make_batch("huge"))[:-4])
    body[field : field + 4] = b"\xff\xff\xff\xff"
    tracemalloc.start()
    try:
        with pytest.raises(CorruptBatch):
            decode_batch(resealed(bytes(body)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=300))
def test_anything_else_is_corrupt_even_under_a_right_checksum(content: bytes) -> None:
    with pytest.raises((CorruptBatch, BatchVersionError)):
        decode_batch(resealed(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda batch: batch.ends.reverse(), "ends before it begins"),
        (lambda batch: batch.ends.__setitem__(-1, batch.ends[-1] + 1), "not as long as their data"),
        (lambda batch: batch.peer_ids.__setitem__(0, 9), "peers do not fit"),
        (lambda batch: batch.peers.append(batch.peers[0]), "peers do not fit"),
    ],
)
def test_tables_that_point_outside_are_refused(damage, message) -> None:  # type: ignore[no-untyped-def]
    batch = make_batch("tables")
    damage(batch)
    with pytest.raises(CorruptBatch, match=message):
        decode_batch(encode_batch(batch))


def lines_of_files() -> Batch:
    batch = make_batch("files", source="file")
    batch.positions = {
        (1, 2): FilePosition(1, 2, 300, b"anchor-1", "/logs/app.log"),
        (2**64 - 1, 2**64 - 1): FilePosition(2**64 - 1, 2**64 - 1, 2**63, b"anchor-2", "/logs/app-2.log"),
    }
    return batch


def test_how_far_files_are_read_travels_in_the_batch() -> None:
    batch = lines_of_files()
    body = encode_batch(batch)
    decoded = decode_batch(body)
    assert same(decoded, batch)
    assert decoded.positions == batch.positions
    assert encoded_bytes(batch) == len(body)
    assert decoded.address(0) is None


def test_a_batch_of_messages_is_written_as_by_earlier_versions() -> None:
    assert encode_batch(make_batch("messages"))[4:6] == b"\1\0"
    assert decode_batch(encode_batch(make_batch("messages"))).positions is None


def test_a_batch_of_files_that_moved_nowhere_is_still_one_of_files() -> None:
    batch = make_batch("files")
    batch.positions = {}
    assert decode_batch(encode_batch(batch)).positions == {}


def test_every_truncation_of_positions_is_found() -> None:
    content = encode_batch(lines_of_files())[:-4]
    for end in range(len(content)):
        with pytest.raises(CorruptBatch):
            decode_batch(resealed(content[:end]))
