"""Records → the bytes of PostgreSQL's binary COPY, in the column order of :data:`logstreamd.record.COLUMNS`.

============== ==========================================================================
part           bytes
============== ==========================================================================
header         ``PGCOPY\\n\\377\\r\\n\\0``, int32 flags (0), int32 extension length (0)
a row          int16 number of columns, then each column
a column       int32 length (-1 for NULL), then that many bytes
timestamptz    int64 microseconds since 2000-01-01 UTC
jsonb          version byte 1, then the text
inet           family (2 or 3), prefix length, is-cidr (0), address length, address
trailer        int16 -1
============== ==========================================================================

Source: PostgreSQL documentation, COPY, "Binary Format"; the receive functions of the types.
"""

from __future__ import annotations

import ipaddress
import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from logstreamd.record import COLUMNS, Record
from logstreamd.wire.batch import Batch
from logstreamd.wire.block import Block, Count, Survey
from logstreamd.wire.copy_rows import EPOCH_2000_US, HEADER, TRAILER, counted_by
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy
from logstreamd.wire.sender import Known, add_known, split_sender
from logstreamd.wire.text import dump_json

__all__ = ["Encoded", "complete", "encode", "rows_without_peer"]

_NULL = struct.pack("!i", -1)
_pack_length = struct.Struct("!i").pack
# The number of columns, then id, ts, received_at (8 bytes each) and severity, facility (2 each), with their lengths.
_fixed = struct.Struct("!hiqiqiqihih")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch as PostgreSQL takes it.

    Attributes:
        rows: the encoded rows, without header and trailer.
        row_ends: where each row ends in ``rows``.
        first_id: the id of the first row; row ``i`` has ``first_id + i``.
        blocks: what the rows of each day are about.
        counts: how many rows each minute, service and severity has.
    """

    rows: bytes
    row_ends: array[int]
    first_id: int
    blocks: tuple[Block, ...]
    counts: tuple[Count, ...]

    @property
    def ts_min(self) -> int:
        """The earliest event time, microseconds since the epoch."""
        return min(block.ts_min for block in self.blocks)

    @property
    def ts_max(self) -> int:
        """The latest event time."""
        return max(block.ts_max for block in self.blocks)

    def __len__(self) -> int:
        return len(self.row_ends)

    def copy_stream(self, start: int, end: int) -> tuple[bytes | memoryview, ...]:
        """Return the pieces of a complete COPY stream of the rows ``start`` to ``end`` (exclusive)."""
        first = self.row_ends[start - 1] if start else 0
        last = self.row_ends[end - 1] if end else 0
        return HEADER, memoryview(self.rows)[first:last], TRAILER

    def counted_as(self, position: int) -> tuple[int, str | None, int]:
        """Return by what a row is counted: its time (microseconds since the epoch), service and severity."""
        start = self.row_ends[position - 1] if position else 0
        return counted_by(self.rows, start, self.row_ends[position])


def encode(batch: Batch, first_id: int, policy: Policy) -> Encoded:
    """Parse every frame of a batch and encode it as one row.

    Args:
        batch: the sealed batch.
        first_id: the id of its first row (batch number x 65536).
        policy: how the messages of the batch's input are read.

    Returns:
        Exactly one row per frame, in order, whatever the frames hold.
    """
    rows = bytearray()
    row_ends = array("I")
    senders = [_sender(entry) for entry in batch.peers]
    input_name = _text(batch.input)
    survey = Survey()
    positions = zip(batch.frames(), batch.received_at, batch.peer_ids, batch.flags, strict=True)
    for row_id, (frame, received_at, peer_id, flags) in enumerate(positions, first_id):
        record = parse_frame(frame, received_at, policy, flags)
        peer, known = senders[peer_id]
        complete(record, known, policy)
        survey.add(row_id, record)
        rows += _row(row_id, record, input_name, peer)
        row_ends.append(len(rows))
    return Encoded(bytes(rows), row_ends, first_id, survey.blocks(), survey.counts())


def complete(record: Record, known: Known, policy: Policy) -> None:
    """Add to a record what its frame does not say: what is known of its sender, and of its input."""
    add_known(record, known)
    if record.host is None:
        record.host = policy.host


def rows_without_peer(records: Iterable[Record], first_id: int, input_name: str) -> tuple[bytes, array[int]]:
    """Encode records that came from no address; returns the rows and where each ends."""
    rows, row_ends, name = bytearray(), array("I"), _text(input_name)
    for row_id, record in enumerate(records, first_id):
        rows += _row(row_id, record, name, _NULL)
        row_ends.append(len(rows))
    return bytes(rows), row_ends


def _row(row_id: int, record: Record, input_name: bytes, peer: bytes) -> bytes:
    fixed = _fixed.pack(
        len(COLUMNS),
        8,
        row_id,
        8,
        record.ts - EPOCH_2000_US,
        8,
        record.received_at - EPOCH_2000_US,
        2,
        record.severity,
        2,
        record.facility,
    )
    return b"".join(
        (
            fixed,
            _text(record.host),
            _text(record.service),
            _text(record.proc_id),
            _text(record.msg_id),
            _text(record.trace_id),
            _text(record.message),
            _jsonb(dump_json(record.attrs)) if record.attrs else _NULL,
            input_name,
            peer,
            _text(record.format),
        )
    )


def _text(text: str | None) -> bytes:
    if text is None:
        return _NULL
    data = text.encode()
    return _pack_length(len(data)) + data


def _jsonb(text: bytes) -> bytes:
    return _pack_length(len(text) + 1) + b"\x01" + text


def _sender(entry: str) -> tuple[bytes, Known]:
    """Read an entry of a batch's ``peers``: the address as inet, and what else is known."""
    address, known = split_sender(entry)
    return _inet(address), known


def _inet(peer: str) -> bytes:
    """Encode a sender's address as inet; a sender without one (a local socket) is NULL."""
    if not peer:
        return _NULL
    address = ipaddress.ip_address(peer)
    packed = address.packed
    family = 2 if address.version == 4 else 3
    return _pack_length(4 + len(packed)) + bytes((family, len(packed) * 8, 0, len(packed))) + packed
