"""The bytes of binary COPY → rows, what they are counted by, and what they are about: :mod:`.copy_binary` backwards.

The rows may be those that were encoded here, or those that PostgreSQL sends for ``COPY (SELECT …) TO STDOUT`` of every
column of ``logs`` in the order of the table. Of a row only what a survey looks at is read.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from logstreamd.record import COLUMNS, LEVELS, Record
from logstreamd.wire.block import Block, Count, Survey

__all__ = [
    "EPOCH_2000_US",
    "HEADER",
    "TRAILER",
    "counted_by",
    "read_records",
    "rows_of_copy",
    "survey_rows",
    "without_frame",
]

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
EPOCH_2000_US = 946_684_800 * 1_000_000

_unpack_count = struct.Struct("!h").unpack_from
_unpack_length = struct.Struct("!i").unpack_from
_unpack_smallint = struct.Struct("!h").unpack
_unpack_bigint = struct.Struct("!q").unpack
# PostgreSQL writes no exponents and keeps the zeros at a fraction's end, so a fraction stays the decimal that it is.
_decode_attrs = msgspec.json.Decoder(float_hook=Decimal).decode


def rows_of_copy(stream: bytes) -> tuple[bytes, array[int]]:
    """Cut a COPY stream into its rows.

    Args:
        stream: all of what PostgreSQL sent for the columns of ``logs``.

    Returns:
        The rows, and where each of them ends.

    Raises:
        ValueError: this is not such a stream, or not the whole of it.
    """
    rows = without_frame(stream)
    row_ends = array("I")
    end = 0
    while end < len(rows):
        *_, (_, end) = _columns(rows, end, len(rows))
        row_ends.append(end)
    return rows, row_ends


def without_frame(stream: bytes) -> bytes:
    """Take the header and the trailer off a COPY stream; ValueError when one of them is missing."""
    if not stream.startswith(HEADER[:-4]) or not stream.endswith(TRAILER) or len(stream) < len(HEADER) + len(TRAILER):
        raise ValueError("not a complete stream of binary COPY")
    (extension,) = _unpack_length(stream, len(HEADER) - 4)
    return stream[len(HEADER) + extension : -len(TRAILER)]


def survey_rows(rows: bytes, row_ends: array[int]) -> tuple[tuple[Block, ...], tuple[Count, ...]]:
    """Find out what encoded rows are about.

    Args:
        rows: rows without header and trailer.
        row_ends: where each row ends in ``rows``.

    Returns:
        A block for each day, and the counts.

    Raises:
        ValueError: these are not rows of ``logs``.
    """
    survey = Survey()
    for row_id, record in read_records(rows, row_ends):
        survey.add(row_id, record)
    return survey.blocks(), survey.counts()


def read_records(rows: bytes, row_ends: array[int]) -> Iterator[tuple[int, Record]]:
    """Yield the id of each row and its record, as far as a survey needs that; see :func:`survey_rows`."""
    start = 0
    for end in row_ends:
        yield _read_record(_row(rows, start, end))
        start = end


def counted_by(rows: bytes, start: int, end: int) -> tuple[int, str | None, int]:
    """Return by what the row that lies there is counted: its time (microseconds since the epoch), service, severity."""
    row = _row(rows, start, end)
    return _timestamp(row["ts"]), _text(row["service"]), _severity(row["severity"])


def _row(rows: bytes, start: int, end: int) -> dict[str, bytes | None]:
    columns = list(_columns(rows, start, end))
    if columns[-1][1] != end:
        raise ValueError(f"the row that begins at byte {start} does not end at byte {end}")
    return {name: column for name, (column, _) in zip(COLUMNS, columns, strict=True)}


def _columns(rows: bytes, start: int, end: int) -> Iterator[tuple[bytes | None, int]]:
    """Yield each column of a row, None for NULL, and where it ends."""
    if end - start < 2 or _unpack_count(rows, start) != (len(COLUMNS),):
        raise ValueError(f"no row of {len(COLUMNS)} columns begins at byte {start}")
    at = start + 2
    for _ in COLUMNS:
        if end - at < 4:
            raise ValueError(f"the row that begins at byte {start} is cut short")
        (size,) = _unpack_length(rows, at)
        at += 4
        if size > end - at:
            raise ValueError(f"the row that begins at byte {start} is cut short")
        yield (None if size < 0 else rows[at : at + size]), at + max(size, 0)
        at += max(size, 0)


def _read_record(row: dict[str, bytes | None]) -> tuple[int, Record]:
    record = Record(
        ts=_timestamp(row["ts"]),
        received_at=0,
        severity=_severity(row["severity"]),
        facility=0,
        message=_text(row["message"]) or "",
        format="",
        host=_text(row["host"]),
        service=_text(row["service"]),
        trace_id=_text(row["trace_id"]),
        attrs=_attrs(row["attrs"]),
    )
    return _bigint(row["id"]), record


def _bigint(column: bytes | None) -> int:
    if column is None or len(column) != 8:
        raise ValueError("8 bytes of a number are missing")
    return int(_unpack_bigint(column)[0])


def _timestamp(column: bytes | None) -> int:
    return _bigint(column) + EPOCH_2000_US


def _severity(column: bytes | None) -> int:
    if column is None or len(column) != 2:
        raise ValueError("a row has no severity")
    severity = int(_unpack_smallint(column)[0])
    if not 0 <= severity < len(LEVELS):
        raise ValueError(f"a severity must be 0..{len(LEVELS) - 1} (got {severity})")
    return severity


def _text(column: bytes | None) -> str | None:
    return None if column is None else column.decode()


def _attrs(column: bytes | None) -> Any:
    if column is None:
        return {}
    if column[:1] != b"\x01":
        raise ValueError("jsonb of an unknown version")
    return _decode_attrs(column[1:])
