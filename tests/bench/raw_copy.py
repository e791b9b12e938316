"""The yardstick: the same rows, encoded beforehand by the same encoder, in one COPY on one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence

import asyncpg

from logstreamd.record import COLUMNS
from logstreamd.storage.migrate import migrate
from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import Encoded
from logstreamd.wire.implementation import encode
from logstreamd.wire.policy import Policy
from tests.bench.result import Result

__all__ = ["encode_messages", "measure_copy", "measure_encoded"]

_ROWS_PER_NUMBER = 65_536
_CHUNK_BYTES = 256 * 1024  # as the daemon hands it to the driver


def measure_copy(name: str, dsn: str, messages: Iterable[bytes]) -> Result:
    """Measure it into the daemon's own tables."""
    return measure_encoded(name, dsn, encode_messages(messages))


def measure_encoded(name: str, dsn: str, batches: Sequence[Encoded]) -> Result:
    """Measure rows that are encoded already."""
    return asyncio.run(_measure(name, dsn, batches))


def encode_messages(messages: Iterable[bytes]) -> list[Encoded]:
    """Encode messages in batches of the default size."""
    encoded: list[Encoded] = []
    batch = Batch("tcp")
    received_at = time.time_ns() // 1_000
    for message in messages:
        batch.append(message, received_at, batch.peer_id("127.0.0.1"))
        if batch.full:
            encoded.append(encode(batch, (len(encoded) + 1) * _ROWS_PER_NUMBER, Policy()))
            batch = Batch("tcp")
    if len(batch):
        encoded.append(encode(batch, (len(encoded) + 1) * _ROWS_PER_NUMBER, Policy()))
    return encoded


async def _measure(name: str, dsn: str, batches: Sequence[Encoded]) -> Result:
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
        first, last = min(one.ts_min for one in batches), max(one.ts_max for one in batches)
        await Partitions().ensure(connection, days_between(first, last))
        started = time.perf_counter()
        await connection.copy_to_table("logs", source=_stream(batches), columns=COLUMNS, format="binary")
        seconds = time.perf_counter() - started
    finally:
        await connection.close()
    return Result(name, sum(map(len, batches)), seconds)


async def _stream(batches: Sequence[Encoded]) -> AsyncIterator[bytes]:
    header, _, trailer = batches[0].copy_stream(0, 0)
    yield bytes(header)
    for batch in batches:
        rows = memoryview(batch.rows)
        for start in range(0, len(rows), _CHUNK_BYTES):
            yield bytes(rows[start : start + _CHUNK_BYTES])
    yield bytes(trailer)
