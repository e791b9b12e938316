"""``python -m tests.bench --search``: questions to a table of many rows, each beside PostgreSQL's own parallel scan.

The yardstick is what a person would write in psql for the same question, answered by a parallel sequential scan: a
``LIKE`` on the message, where the search looks in every field. Both run on the same rows, warm, one after the other.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import asyncpg

from logstreamd.query.counts import CountReader, parse_counts
from logstreamd.query.database import Database
from logstreamd.query.search import LogReader, parse_search
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.storage.migrate import migrate
from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch
from logstreamd.wire.implementation import encode
from logstreamd.wire.policy import Policy
from tests.bench.varied_lines import COMMON_WORD, NEEDLE, varied_messages

__all__ = ["Answer", "answers_as_table", "measure_search"]

_SPOOL = UUID(int=5)
_REPEATS = 9
_SCAN_REPEATS = 2
_BYTES = """
    SELECT (SELECT sum(pg_total_relation_size(name::regclass))
            FROM unnest('{blocks,batch_counts,folded_counts,folded_totals}'::text[]) AS name)
           / (SELECT count(*) FROM logs)
"""
_SCAN_SETTINGS = (
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_indexonlyscan = off"
)


@dataclass(frozen=True)
class Answer:
    """How long a question took.

    Attributes:
        name: which.
        found: rows, or points of a histogram.
        ms: the median.
        slowest_ms: the longest of all repetitions.
        scan_ms: PostgreSQL's parallel scan, the quicker of two.
        goal_ms: what is to be reached; None where the goal is the scan.
    """

    name: str
    found: int
    ms: float
    slowest_ms: float
    scan_ms: float
    goal_ms: float | None

    @property
    def ratio(self) -> float:
        """How many times longer the scan takes."""
        return self.scan_ms / self.ms


@dataclass(frozen=True)
class _Question:
    name: str
    ask: Callable[[], Awaitable[int]]
    scan: str
    scan_parameters: tuple[Any, ...]
    goal_ms: float | None


def measure_search(rows: int, dsn: str) -> tuple[list[Answer], float]:
    """Fill a database and ask it.

    Args:
        rows: how many.
        dsn: an empty database.

    Returns:
        The answers, and what blocks and counts take, bytes a row.
    """
    return asyncio.run(_measure(rows, dsn))


async def _measure(rows: int, dsn: str) -> tuple[list[Answer], float]:
    settings = ConnectionSettings(dsn, statement_timeout_seconds=600)
    connection = await connect(settings, purpose="bench")
    pool = await create_reader_pool(settings, max_size=4)
    try:
        await _fill(connection, rows)
        database = Database(pool, max_concurrent=2, timeout_seconds=600)
        answers = []
        for question in await _questions(connection, LogReader(database), CountReader(database)):
            print(f"{question.name} ...", file=sys.stderr, flush=True)
            answers.append(await _answer(connection, question))
        return answers, float(await connection.fetchval(_BYTES))
    finally:
        await pool.close()
        await connection.close()


async def _fill(connection: asyncpg.Connection, rows: int) -> None:
    """Store lines as the daemon does, batch after batch."""
    await migrate(connection)
    partitions, messages, number = Partitions(), varied_messages(rows), 0
    while True:
        batch = Batch("tcp")
        received_at = time.time_ns() // 1_000
        for message in islice(messages, batch.max_rows):
            batch.append(message, received_at, batch.peer_id("192.0.2.7"))
            if batch.full:
                break
        if not len(batch):
            break
        number += 1
        encoded = encode(batch, number << 16, Policy())
        await partitions.ensure(connection, days_between(encoded.ts_min, encoded.ts_max))
        await store_batch(connection, batch, encoded, spool_id=_SPOOL, seq=number)
        if number % 100 == 0:
            print(f"{number} batches stored", file=sys.stderr, flush=True)
    await connection.execute("VACUUM ANALYZE", timeout=600)


async def _questions(connection: asyncpg.Connection, logs: LogReader, counts: CountReader) -> Sequence[_Question]:
    middle = await connection.fetchval("SELECT (min(first_id) + max(last_id)) / 2 FROM blocks")
    trace_id = await connection.fetchval(
        "SELECT trace_id FROM logs WHERE id BETWEEN $1 AND $1 + 200000 AND trace_id IS NOT NULL LIMIT 1", middle
    )
    newest = await connection.fetchval("SELECT max(ts_max) FROM blocks")
    day = {"start": (newest - timedelta(days=1)).isoformat(), "end": newest.isoformat()}
    everything = "SELECT * FROM logs {} ORDER BY ts DESC, id DESC LIMIT 100"

    def search(**parameters: str) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            asked = parse_search(parameters.items(), now=datetime.now(UTC), max_rows=1_000)
            return len((await logs.search(asked)).logs)

        return ask

    def count(**parameters: str) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            found = await counts.count(parse_counts(parameters.items(), now=datetime.now(UTC)))
            return sum(len(series.points) or series.total for series in found.series)

        return ask

    return [
        _Question(
            "a rare word anywhere", search(q=NEEDLE), everything.format("WHERE message ILIKE $1"), (f"%{NEEDLE}%",), 25
        ),
        _Question("newest 100 of everything", search(), everything.format(""), (), 25),
        _Question(
            "newest 100 errors of one service",
            search(service="checkout", min_level="error"),
            everything.format("WHERE service = $1 AND severity <= 3"),
            ("checkout",),
            25,
        ),
        _Question(
            "newest 100 with a common word",
            search(q=COMMON_WORD),
            everything.format("WHERE message ILIKE $1"),
            (f"%{COMMON_WORD}%",),
            25,
        ),
        _Question("a trace id", search(trace_id=trace_id), everything.format("WHERE trace_id = $1"), (trace_id,), 25),
        _Question(
            "the same without its field",
            search(q=trace_id),
            everything.format("WHERE trace_id = $1 OR message ILIKE '%' || $1 || '%'"),
            (trace_id,),
            25,
        ),
        _Question(
            "histogram of a day by level, 1-minute steps",
            count(by="level", step="1m", **day),
            "SELECT date_trunc('minute', ts), severity, count(*) FROM logs WHERE ts >= $1 AND ts < $2 GROUP BY 1, 2",
            (newest - timedelta(days=1), newest),
            15,
        ),
        _Question(
            "count of a common word over everything",
            count(q=COMMON_WORD),
            "SELECT count(*) FROM logs WHERE message ILIKE $1",
            (f"%{COMMON_WORD}%",),
            None,
        ),
    ]


async def _answer(connection: asyncpg.Connection, question: _Question) -> Answer:
    found = await question.ask()  # warm
    times = [await _milliseconds(question.ask) for _ in range(_REPEATS)]
    async with connection.transaction():
        await connection.execute(_SCAN_SETTINGS)

        async def scan() -> None:
            await connection.fetch(question.scan, *question.scan_parameters)

        scans = [await _milliseconds(scan) for _ in range(_SCAN_REPEATS)]
    return Answer(question.name, found, statistics.median(times), max(times), min(scans), question.goal_ms)


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1_000


def answers_as_table(answers: Sequence[Answer], bytes_per_row: float) -> str:
    """Write them for people."""
    lines = [
        "| question | found | ms | slowest | parallel scan, ms | times quicker | goal |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for one in answers:
        goal = "the scan" if one.goal_ms is None else f"≤ {one.goal_ms:.0f} ms"
        lines.append(
            f"| {one.name} | {one.found:,} | {one.ms:.1f} | {one.slowest_ms:.1f} | {one.scan_ms:,.0f} "
            f"| {one.ratio:,.1f} | {goal} |"
        )
    return "\n".join([*lines, "", f"blocks and counts: {bytes_per_row:.1f} bytes a row"])
