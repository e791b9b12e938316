"""Processor time per record, each stage of the way alone on the same batches: ``python -m tests.bench --stages``."""

from __future__ import annotations

import asyncio
import importlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import asyncpg

from logstreamd.inputs import receive
from logstreamd.spool.database import Changes, SpoolDatabase
from logstreamd.spool.limits import DiskLimits
from logstreamd.spool.rows import Row
from logstreamd.storage.migrate import migrate
from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.storage.store import store_batch
from logstreamd.wire import copy_binary, copy_rows, framing
from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import Encoded
from logstreamd.wire.policy import Policy
from tests.bench.workload import bsd_messages, json_messages, syslog_messages

__all__ = ["Stage", "measure_stages", "stages_as_table"]

_READ_BYTES = 256 * 1024  # as the TCP input reads
_GROUP = 100  # datagrams that surely fit into a socket's buffer
_PASSES = 3  # the quickest counts: the others were disturbed
_PYTHON_PART = 10  # the plain twins get a tenth of the rows
_SPOOL_BYTES = 4 << 30  # the default


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: which.
        us: processor time of a record, microseconds; with the compiled twin where there is one and it was built.
        python_us: with the plain Python twin; None where there is only one implementation.
    """

    name: str
    us: float | None
    python_us: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times longer the plain twin takes."""
        return self.python_us / self.us if self.us and self.python_us else None


def measure_stages(rows: int, dsn: str, directory: Path) -> list[Stage]:
    """Measure every stage.

    Args:
        rows: messages of each.
        dsn: an empty database.
        directory: for a spool.
    """
    lines = b"".join(one + b"\n" for one in syslog_messages(rows))
    split, encode, survey = _compiled("wire._split"), _compiled("wire._encode"), _compiled("wire._survey")
    batches, of_json = _split(framing.Framer, lines), _batches(json_messages(rows))
    encoded = [_encoder(encode)(batch, number << 16, Policy()) for number, batch in enumerate(batches, 1)]
    found = [
        Stage("read, TCP: the kernel's copy", _quickest(lambda: _read(lines), rows)),
        _twins("split, by line", lambda module: _split(module.Framer, lines), split, framing, rows),
        _datagrams(rows),
        Stage("spool: append, commit, delete", _quickest(lambda: _spool(batches, directory), rows)),
        _encoding("encode, RFC 5424", batches, encode),
        _encoding("encode, RFC 3164", _batches(bsd_messages(rows)), encode),
        _encoding("encode, JSON", of_json, encode),
        _surveying("of that: survey, RFC 5424", encoded, survey),
        _surveying("of that: survey, JSON", [_encoder(encode)(batch, 1 << 16, Policy()) for batch in of_json], survey),
    ]
    return [*found, Stage("store: the client's side of COPY", asyncio.run(_store(dsn, batches, encoded)) / rows * 1e6)]


def _compiled(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"logstreamd.{name}")
    except ImportError:
        return None


def _encoder(module: ModuleType | None) -> Callable[[Batch, int, Policy], Encoded]:
    found: Callable[[Batch, int, Policy], Encoded] = (module or copy_binary).encode
    return found


def _quickest(work: Callable[[], object], rows: int) -> float:
    """Return this thread's processor time of a row in microseconds."""
    times = []
    for _ in range(_PASSES):
        before = time.thread_time()
        work()
        times.append(time.thread_time() - before)
    return min(times) / rows * 1e6


def _twins(name: str, work: Callable[[Any], object], compiled: Any, plain: Any, rows: int) -> Stage:
    us = None if compiled is None else _quickest(lambda: work(compiled), rows)
    return Stage(name, us, _quickest(lambda: work(plain), rows))


def _batches(messages: Any) -> list[Batch]:
    return _split(framing.Framer, b"".join(one + b"\n" for one in messages))


def _split(framer_class: Any, stream: bytes) -> list[Batch]:
    framer, batches = framer_class(), [Batch("tcp")]
    for start in range(0, len(stream), _READ_BYTES):
        data = memoryview(stream)[start : start + _READ_BYTES]
        while data:
            batch = batches[-1]
            data = data[framer.split(data, batch, batch.peer_id("127.0.0.1"), time.time_ns() // 1_000) :]
            if batch.full:
                batches.append(Batch("tcp"))
    return [batch for batch in batches if len(batch)]


def _read(stream: bytes) -> None:
    """Read a stream from a socket; the thread that sends it is not measured."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sending = socket.create_connection(server.getsockname())
        receiving, _ = server.accept()
    with sending, receiving:
        thread = threading.Thread(target=sending.sendall, args=(stream,))
        thread.start()
        buffer, left = bytearray(_READ_BYTES), len(stream)
        while left:
            left -= receiving.recv_into(buffer)
        thread.join()


def _datagrams(rows: int) -> Stage:
    module = _compiled("inputs._receive")
    us = None if module is None else _receive(module.receive_datagrams, rows)
    return Stage("receive, UDP: with the kernel's copy", us, _receive(receive.receive_datagrams, rows // _PYTHON_PART))


def _receive(receive_datagrams: Any, rows: int) -> float:
    used, batch = 0.0, Batch("udp")
    messages = list(syslog_messages(_GROUP))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending,
    ):
        receiving.bind(("127.0.0.1", 0))
        receiving.setblocking(False)
        sending.connect(receiving.getsockname())
        for _ in range(rows // _GROUP):
            for message in messages:
                sending.send(message)
            if batch.full:
                batch = Batch("udp")
            before = time.thread_time()
            receive_datagrams(receiving, batch, max_frame_bytes=65_536, received_at=1, limit=_GROUP)
            used += time.thread_time() - before
    return used / (rows // _GROUP * _GROUP) * 1e6


def _encoding(name: str, batches: Sequence[Batch], compiled: ModuleType | None) -> Stage:
    def encode(module: Any, some: Sequence[Batch]) -> None:
        for batch in some:
            module.encode(batch, 1 << 16, Policy())

    part = batches[: max(1, len(batches) // _PYTHON_PART)]
    us = None if compiled is None else _quickest(lambda: encode(compiled, batches), sum(map(len, batches)))
    return Stage(name, us, _quickest(lambda: encode(copy_binary, part), sum(map(len, part))))


def _surveying(name: str, encoded: Sequence[Encoded], compiled: ModuleType | None) -> Stage:
    """Measure the second pass of encode: what the rows are about."""

    def survey(module: Any, some: Sequence[Encoded]) -> None:
        for one in some:
            module.survey_rows(one.rows, one.row_ends)

    part = encoded[: max(1, len(encoded) // _PYTHON_PART)]
    us = None if compiled is None else _quickest(lambda: survey(compiled, encoded), sum(map(len, encoded)))
    return Stage(name, us, _quickest(lambda: survey(copy_rows, part), sum(map(len, part))))


def _spool(batches: Sequence[Batch], directory: Path) -> None:
    """Append every batch as the spool's owner does, each fsynced, and delete the one before."""
    path = directory / "stage.db"
    limits = DiskLimits.of(_SPOOL_BYTES)
    database = SpoolDatabase(path, max_pages=limits.pages, wal_bytes=limits.log_bytes)
    database.open()
    for seq, batch in enumerate(batches, 1):
        database.write(Changes(rows=[Row.from_batch(seq, 1, batch)], deleted={seq - 1}), durable=True)
    database.close()
    for left in directory.glob("stage.db*"):
        left.unlink()


async def _store(dsn: str, batches: Sequence[Batch], encoded: Sequence[Encoded]) -> float:
    """Return the processor time of handing every batch to PostgreSQL."""
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
        first, last = min(one.ts_min for one in encoded), max(one.ts_max for one in encoded)
        await Partitions().ensure(connection, days_between(first, last))
        spool_id, before = uuid4(), time.thread_time()
        for seq, (batch, rows) in enumerate(zip(batches, encoded, strict=True), 1):
            await store_batch(connection, batch, rows, spool_id=spool_id, seq=seq)
        return time.thread_time() - before
    finally:
        await connection.close()


def stages_as_table(stages: Sequence[Stage]) -> str:
    """Write them for people."""

    def cell(value: float | None, pattern: str) -> str:
        return "" if value is None else format(value, pattern)

    rows = [
        f"| {one.name} | {cell(one.us, '.3f')} | {cell(one.python_us, '.3f')} | {cell(one.ratio, '.1f')} |"
        for one in stages
    ]
    return "\n".join(["| stage | µs a record | plain Python | ratio |", "|---|--:|--:|--:|", *rows])
