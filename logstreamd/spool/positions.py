"""How far each followed file is read: the spool's table ``positions``.

A position is written in the transaction that appends its batch, and that transaction is fsynced whatever ``spool.sync``
says: after a power cut the batch might be in PostgreSQL already, and its lines would be read a second time.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeAlias

from logstreamd.spool.statements import QUERIES
from logstreamd.wire.batch import Batch, FileKey, FilePosition
from logstreamd.wire.batch_codec import CorruptBatch, decode_positions, encode_positions

__all__ = ["PositionKey", "Positions", "positions_of_batch", "read_positions", "write_positions"]

PositionKey: TypeAlias = tuple[str, FileKey]
"""The name of the input and the file."""
Positions: TypeAlias = dict[PositionKey, FilePosition]

_FILE = struct.Struct("<QQ")


def positions_of_batch(batch: Batch) -> Positions:
    """Return how far the files are read with a batch; nothing for a batch of messages."""
    return {(batch.input, key): position for key, position in (batch.positions or {}).items()}


def write_positions(connection: sqlite3.Connection, positions: Mapping[PositionKey, FilePosition | None]) -> None:
    """Set positions, or forget those that are None, inside the caller's transaction."""
    for (name, key), position in positions.items():
        file = _FILE.pack(*key)
        if position is None:
            connection.execute(QUERIES["forget_position"], (name, file))
        else:
            body = encode_positions((position,))
            connection.execute(QUERIES["set_position"], (name, file, body, _seal(name, body)))


def read_positions(connection: sqlite3.Connection) -> Positions:
    """Read every position that is whole."""
    found: Positions = {}
    for position in _whole(connection.execute(QUERIES["positions"])):
        found.update(position)
    return found


def _whole(rows: Iterable[tuple[object, object, object]]) -> Iterator[Positions]:
    for name, body, seal in rows:
        if isinstance(name, str) and isinstance(body, bytes) and seal == _seal(name, body):
            with suppress(CorruptBatch):
                yield {(name, position.key): position for position in decode_positions(body)}


def _seal(name: str, body: bytes) -> int:
    return zlib.crc32(name.encode(errors="surrogateescape") + b":" + body)
