"""A sealed batch to bytes and back: the body of one row of the spool.

Little-endian, without padding. ``n`` frames, ``p`` peers; every table is written in one piece, no frame is
looked at.

============== ===================================== ==================================================
part            size in bytes                         content
============== ===================================== ==================================================
magic           4                                     ``LSB`` and a NUL
version         2                                     ``1``; ``2`` for lines of files
input length    2                                     bytes of the input's name
n               4                                     frames
p               4                                     peers
peers length    4                                     bytes of all peers together
data length     4                                     bytes of all frames together
request        16                                     UUID of the request it came with, or zeros
part            4                                     which part of that request it is
input           input length                          UTF-8
peer lengths    2 x p                                 bytes of each peer
peers           peers length                          UTF-8, one after the other
ends            4 x n                                 where each frame ends in ``data``
received_at     8 x n                                 signed microseconds since the epoch
peer_ids        2 x n                                 index of each frame's peer
flags           n                                     ``TRUNCATED`` | ``PARTIAL``
data            data length                           the frames, one after the other
positions       positions length                      version 2: see below
positions       4                                     version 2: bytes of the positions
length
crc             4                                     CRC-32 of everything before it
============== ===================================== ==================================================

A position is the device, the inode and the offset (8 bytes each), the anchor (8), the length of the path (2) and the
path (UTF-8). Positions are at the end, so that everything before them is read as in version 1.

The checksum is looked at first and stays the last four bytes in every later version, so that a flipped bit in
the version is corruption and a version that is whole but unknown is a newer one.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable
from itertools import accumulate, pairwise
from operator import le
from typing import Any
from uuid import UUID

from logstreamd.wire.batch import Batch, FilePosition

__all__ = [
    "ANCHOR_BYTES",
    "BatchVersionError",
    "CorruptBatch",
    "decode_batch",
    "decode_positions",
    "encode_batch",
    "encode_positions",
    "encoded_bytes",
]

ANCHOR_BYTES = 8
"""The size of a position's anchor: two contents are taken for each other once in 2^64."""

_MAGIC = b"LSB\0"
_VERSION, _FILES_VERSION = 1, 2
_HEADER = struct.Struct("<4sHHIIII16sI")
_POSITION = struct.Struct(f"<QQQ{ANCHOR_BYTES}sH")
_LENGTH = _CRC = struct.Struct("<I")
_NO_REQUEST = UUID(int=0)
_FRAME_TABLE_BYTES = 4 + 8 + 2 + 1


class CorruptBatch(ValueError):  # noqa: N818 - reads as what it is: the batch is corrupt
    """The bytes are not a batch as it was written: cut, flipped, or something else."""


class BatchVersionError(ValueError):
    """The batch is whole, but written by a newer version of logstreamd."""


def encode_batch(batch: Batch) -> bytes:
    """Write a batch as bytes.

    Args:
        batch: a sealed batch; its data must be below 4 GiB and its input's name and peers below 64 KiB each.

    Returns:
        The layout of this module, ready to be one row of the spool.
    """
    name = _to_bytes(batch.input)
    peers = [_to_bytes(peer) for peer in batch.peers]
    peer_text = b"".join(peers)
    request, request_part = batch.request or (_NO_REQUEST, 0)
    lengths = (len(name), len(batch.ends), len(peers), len(peer_text), len(batch.data))
    version = _VERSION if batch.positions is None else _FILES_VERSION
    header = _HEADER.pack(_MAGIC, version, *lengths, request.bytes, request_part)
    parts = [
        header,
        name,
        _little_endian(array("H", map(len, peers))),
        peer_text,
        _little_endian(batch.ends),
        _little_endian(batch.received_at),
        _little_endian(batch.peer_ids),
        bytes(batch.flags),
        batch.data,
        *_position_parts(batch),
    ]
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return b"".join([*parts, _CRC.pack(crc)])


def encoded_bytes(batch: Batch) -> int:
    """Return how many bytes :func:`encode_batch` makes of a batch (a few less when a name is not ASCII)."""
    names = len(batch.input) + sum(map(len, batch.peers)) + 2 * len(batch.peers)
    positions = sum(map(len, _position_parts(batch)))
    return _HEADER.size + names + batch.nbytes + positions + _CRC.size


def _position_parts(batch: Batch) -> tuple[bytes, ...]:
    if batch.positions is None:
        return ()
    positions = encode_positions(batch.positions.values())
    return positions, _LENGTH.pack(len(positions))


def encode_positions(positions: Iterable[FilePosition]) -> bytes:
    """Write positions as bytes, one after the other."""
    parts: list[bytes] = []
    for device, inode, offset, anchor, path in positions:
        text = _to_bytes(path)
        parts += (_POSITION.pack(device, inode, offset, anchor, len(text)), text)
    return b"".join(parts)


def decode_positions(content: bytes | memoryview) -> list[FilePosition]:
    """Read back what :func:`encode_positions` wrote.

    Raises:
        CorruptBatch: any other bytes.
    """
    view, positions, at = memoryview(content), [], 0
    while at < len(view):
        if len(view) - at < _POSITION.size:
            raise CorruptBatch("a file's position is cut short")
        device, inode, offset, anchor, length = _POSITION.unpack_from(view, at)
        at += _POSITION.size + length
        if at > len(view):
            raise CorruptBatch("a file's position is cut short")
        positions.append(FilePosition(device, inode, offset, anchor, _to_text(view[at - length : at])))
    return positions


def decode_batch(body: bytes | memoryview) -> Batch:
    """Read back what :func:`encode_batch` wrote.

    Args:
        body: the whole body. Nothing is allocated for a length in it that the body does not have.

    Returns:
        A batch equal to the one that was written.

    Raises:
        CorruptBatch: any other bytes than a batch's.
        BatchVersionError: intact, but of a newer version.
    """
    view = memoryview(body)
    if len(view) < _HEADER.size + _CRC.size:
        raise CorruptBatch(f"{len(view)} bytes, expected at least {_HEADER.size + _CRC.size}")
    content = view[: -_CRC.size]
    (expected,) = _CRC.unpack(view[-_CRC.size :])
    found = zlib.crc32(content)
    if found != expected:
        raise CorruptBatch(f"checksum {found:#010x}, expected {expected:#010x}")
    magic, version, *sizes, request, part = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise CorruptBatch(f"begins with {magic!r}, expected {_MAGIC!r}")
    if version > _FILES_VERSION:
        raise BatchVersionError(f"batch version {version}, this logstreamd reads up to {_FILES_VERSION}")
    positions = None
    if version == _FILES_VERSION:
        content, positions = _split_positions(content)
    batch = _read(content, *sizes)
    if positions is not None:
        batch.positions = {position.key: position for position in positions}
    if request != _NO_REQUEST.bytes:
        batch.request = (UUID(bytes=request), part)
    return batch


def _split_positions(content: memoryview) -> tuple[memoryview, list[FilePosition]]:
    (length,) = _LENGTH.unpack(content[-_LENGTH.size :])
    end = len(content) - _LENGTH.size
    if length > end - _HEADER.size:
        raise CorruptBatch(f"{length} bytes of positions in a batch of {len(content)}")
    return content[: end - length], decode_positions(content[end - length : end])


def _read(content: memoryview, name_bytes: int, rows: int, peers: int, peer_bytes: int, data_bytes: int) -> Batch:
    expected = _HEADER.size + name_bytes + 2 * peers + peer_bytes + _FRAME_TABLE_BYTES * rows + data_bytes
    if len(content) != expected:
        raise CorruptBatch(f"{len(content)} bytes, its header speaks of {expected}")
    sizes = (name_bytes, 2 * peers, peer_bytes, 4 * rows, 8 * rows, 2 * rows, rows, data_bytes)
    ends = list(accumulate(sizes, initial=_HEADER.size))
    name, lengths, texts, frame_ends, received_at, peer_ids, flags, data = (
        content[start:end] for start, end in pairwise(ends)
    )
    batch = Batch(_to_text(name))
    for peer in _split(texts, _from_little_endian("H", lengths)):
        batch.peer_id(peer)
    batch.ends = _from_little_endian("I", frame_ends)
    batch.received_at = _from_little_endian("q", received_at)
    batch.peer_ids = _from_little_endian("H", peer_ids)
    batch.flags = bytearray(flags)
    batch.data = bytearray(data)
    _check(batch, peers)
    return batch


def _check(batch: Batch, peers: int) -> None:
    """Refuse tables that point outside the batch, whatever the checksum says."""
    if not all(map(le, batch.ends, batch.ends[1:])):
        raise CorruptBatch("a frame ends before it begins")
    if (batch.ends[-1] if batch.ends else 0) != len(batch.data):
        raise CorruptBatch("the frames are not as long as their data")
    if len(batch.peers) != peers or max(batch.peer_ids, default=-1) >= peers:
        raise CorruptBatch("the peers do not fit the frames")


def _split(texts: memoryview, lengths: array[int]) -> list[str]:
    if sum(lengths) != len(texts):
        raise CorruptBatch("the peers are not as long as their text")
    return [_to_text(texts[start:end]) for start, end in pairwise(accumulate(lengths, initial=0))]


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # the path of a unix socket need not be UTF-8


def _to_text(text: memoryview) -> str:
    return bytes(text).decode("utf-8", "surrogateescape")


def _little_endian(table: array[int]) -> bytes | array[int]:
    if sys.byteorder == "little":
        return table
    swapped = table[:]
    swapped.byteswap()
    return swapped


def _from_little_endian(typecode: Any, table: memoryview) -> array[int]:
    values: array[int] = array(typecode)
    values.frombytes(table)
    if sys.byteorder == "big":
        values.byteswap()
    return values
