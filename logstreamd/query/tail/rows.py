"""Stored rows as filters look at them and as clients get them, from the database or from what was sent to it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from logstreamd.record import COLUMNS, LEVELS
from logstreamd.wire.copy_binary import Encoded

__all__ = ["EncodedRows", "Row", "read_record"]

_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
# The number of columns, then id, ts, received_at (8 bytes each) and severity, facility (2 each), with their lengths.
_FIXED = struct.Struct("!hiqiqiqihih")
_VARIABLE = COLUMNS[5:]
_length_at = struct.Struct("!i").unpack_from
_INET_FAMILIES = {2: socket.AF_INET, 3: socket.AF_INET6}

_SHOWN = tuple(name for name in COLUMNS if name not in ("id", "ts", "received_at", "severity", "format"))
_encode_json = msgspec.json.Encoder().encode
_decode_attrs = msgspec.json.Decoder(float_hook=Decimal).decode


class Row(dict[str, Any]):
    """The columns of ``logs`` by name, as filters see them.

    ``attrs`` is read when a filter looks at it: ``attrs_json`` is what it is read from.
    """

    __slots__ = ("attrs_json",)

    def __init__(self, columns: Mapping[str, Any], attrs_json: bytes | None) -> None:
        super().__init__(columns)
        self.attrs_json = attrs_json

    def __missing__(self, name: str) -> Any:
        if name != "attrs":
            raise KeyError(name)
        self["attrs"] = None if self.attrs_json is None else _decode_attrs(self.attrs_json)
        return self["attrs"]

    def as_json(self) -> bytes:
        """Return the row as the API shows it."""
        log = {name: self[name] for name in ("id", "ts", "received_at")}
        log["level"] = LEVELS[self["severity"]]
        log["severity"] = self["severity"]
        log |= {name: msgspec.Raw(self.attrs_json or b"{}") if name == "attrs" else self[name] for name in _SHOWN}
        return _encode_json(log)


class Record(Protocol):
    """A row as the driver gives it."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """Return the columns with their names."""


def read_record(record: Record) -> Row:
    """Read a row that PostgreSQL sent."""
    columns = dict(record.items())
    attrs = columns.pop("attrs")
    return Row(columns, None if attrs is None else attrs.encode())


class EncodedRows(Sequence[Row]):
    """The rows of a batch that was stored as it is, each read when it is first asked for.

    Args:
        encoded: the batch.
    """

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded
        self._read: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, position: Any) -> Any:
        row = self._read.get(position)
        if row is None:
            if not 0 <= position < len(self):
                raise IndexError(position)
            start = self._encoded.row_ends[position - 1] if position else 0
            row = self._read[position] = _read_encoded(self._encoded.rows, start)
        return row


def _read_encoded(rows: bytes, at: int) -> Row:
    """Read the row that begins there; :mod:`logstreamd.wire.copy_binary` has the layout."""
    _, _, row_id, _, ts, _, received_at, _, severity, _, facility = _FIXED.unpack_from(rows, at)
    at += _FIXED.size
    columns: dict[str, Any] = {
        "id": row_id,
        "ts": _EPOCH_2000 + timedelta(microseconds=ts),
        "received_at": _EPOCH_2000 + timedelta(microseconds=received_at),
        "severity": severity,
        "facility": facility,
    }
    attrs_json = None
    for name in _VARIABLE:
        (size,) = _length_at(rows, at)
        at += 4
        if size < 0:
            columns[name] = None
            continue
        value = rows[at : at + size]
        at += size
        if name == "attrs":
            attrs_json = value[1:]  # behind the version of jsonb
        else:
            columns[name] = _address(value) if name == "peer" else value.decode()
    return Row(columns, attrs_json)


def _address(inet: bytes) -> str:
    return socket.inet_ntop(_INET_FAMILIES[inet[0]], inet[4:])
