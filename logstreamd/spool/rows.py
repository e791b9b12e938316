"""One row of the spool's database: a batch's body under a seal.

The body carries its own checksum; the seal ties it to its seq, arrival time, input and frame count, because a
flipped bit in a seq would make a batch look like another one that is stored already.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from logstreamd.spool.positions import Positions, positions_of_batch
from logstreamd.wire.batch import Batch
from logstreamd.wire.batch_codec import BatchVersionError, CorruptBatch, decode_batch, encode_batch

__all__ = ["Row", "number_seal"]


@dataclass(slots=True)
class Row:
    """A row of ``batches``; as read it may hold anything until :meth:`batch` has looked at it."""

    seq: int
    appended_at: int
    input: str
    frames: int
    seal: int
    body: bytes
    number: int | None = None
    positions: Positions = field(default_factory=dict)
    """How far files are read with this batch; known where the row is made of a batch."""

    @classmethod
    def from_batch(cls, seq: int, appended_at: int, batch: Batch) -> Row:
        """Encode and seal a batch."""
        body = encode_batch(batch)
        return cls(
            seq,
            appended_at,
            batch.input,
            len(batch),
            _seal(seq, appended_at, batch.input, len(batch), body),
            body,
            positions=positions_of_batch(batch),
        )

    def batch(self) -> Batch:
        """Decode the body.

        Raises:
            CorruptBatch: the body or the seal is not what was written.
        """
        if not isinstance(self.body, bytes):
            raise CorruptBatch(f"the body is {type(self.body).__name__}, expected bytes")
        try:
            batch = decode_batch(self.body)
        except BatchVersionError as error:
            raise CorruptBatch(str(error)) from None
        if self.seal != _seal(self.seq, self.appended_at, self.input, self.frames, self.body):
            raise CorruptBatch("the row's seal does not fit its columns")
        if (batch.input, len(batch)) != (self.input, self.frames):
            raise CorruptBatch("the row's columns do not fit its body")
        return batch


def number_seal(seq: int, number: int) -> int:
    """Return the seal of a row of ``numbers``."""
    return zlib.crc32(f"{seq}:{number}".encode())


def _seal(seq: Any, appended_at: Any, name: Any, frames: Any, body: bytes) -> int:
    return zlib.crc32(f"{seq}:{appended_at}:{frames}:{name}:".encode(errors="surrogateescape") + body[-4:])
