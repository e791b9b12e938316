"""Binary COPY → rows: a decoder that shares nothing with the encoder but the manual of PostgreSQL."""

from __future__ import annotations

import ipaddress
import json
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)


def read_bigint(data: bytes) -> int:
    (value,) = struct.unpack(">q", data)
    return int(value)


def read_smallint(data: bytes) -> int:
    (value,) = struct.unpack(">h", data)
    return int(value)


def read_timestamptz(data: bytes) -> datetime:
    return _EPOCH_2000 + timedelta(microseconds=read_bigint(data))


def read_jsonb(data: bytes) -> Any:
    assert data[0] == 1
    return json.loads(data[1:].decode())


def read_inet(data: bytes) -> str:
    family, prefix, is_cidr, size = data[:4]
    address = ipaddress.ip_address(data[4:])
    assert (family, prefix, is_cidr, size) == ({4: 2, 6: 3}[address.version], len(data[4:]) * 8, 0, len(data[4:]))
    return str(address)


READERS = {
    "id": read_bigint,
    "ts": read_timestamptz,
    "received_at": read_timestamptz,
    "severity": read_smallint,
    "facility": read_smallint,
    "host": bytes.decode,
    "service": bytes.decode,
    "proc_id": bytes.decode,
    "msg_id": bytes.decode,
    "trace_id": bytes.decode,
    "message": bytes.decode,
    "attrs": read_jsonb,
    "input": bytes.decode,
    "peer": read_inet,
    "format": bytes.decode,
}


def decode_stream(pieces: Iterable[bytes | memoryview]) -> list[dict[str, Any]]:
    """Read a whole stream, from the signature to the trailer."""
    data = b"".join(pieces)
    assert data.startswith(SIGNATURE)
    assert data[len(SIGNATURE) : len(SIGNATURE) + 8] == bytes(8)
    pos = len(SIGNATURE) + 8
    rows = []
    while (columns := read_smallint(data[pos : pos + 2])) != -1:
        assert columns == len(READERS)
        pos += 2
        row: dict[str, Any] = {}
        for name, reader in READERS.items():
            (size,) = struct.unpack(">i", data[pos : pos + 4])
            pos += 4
            row[name] = None if size < 0 else reader(data[pos : pos + size])
            assert size < 0 or pos + size <= len(data)
            pos += max(0, size)
        rows.append(row)
    assert pos + 2 == len(data)
    return rows
