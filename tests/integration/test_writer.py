"""From a spool to the table: everything once, in order, whatever happens to the database in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from batches import batch_of, numbered
from log_lines import log_lines
from manual_spool import turns
from otlp_receiver import OtlpReceiver, only, traced
from spooling import new_spool

from logstreamd.metrics import Metrics
from logstreamd.spool import MemorySpool, Spool
from logstreamd.storage import session as session_module
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.session import Health, Session
from logstreamd.wire.policy import Policy
from logstreamd.writer import Writer

Connect = Callable[[], Awaitable[asyncpg.Connection]]


@pytest.fixture(autouse=True)
def _retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_RETRY_INITIAL_SECONDS", "_RETRY_MAX_SECONDS", "_RETRY_JITTER_SECONDS"):
        monkeypatch.setattr(session_module, name, 0.01)
    monkeypatch.setattr(session_module, "_OPEN_SECONDS", 0.02)


class Storing:
    """A writer at work on a spool."""

    def __init__(self, spool: Spool, connect_: Connect, workers: int) -> None:
        self.spool = spool
        self.metrics = Metrics(version="test", wire="python")
        self.health = Health(self.metrics)
        self.prepared: list[tuple[int, int]] = []
        self.migrated = asyncio.Event()
        self.migrated.set()
        self.writer = Writer(
            spool,
            [Session(connect_, self.health) for _ in range(workers)],
            ready=self.migrated.wait,
            prepare=self._prepare,
            policy_of=lambda _: Policy(),
            metrics=self.metrics,
        )
        self.metrics.watch_input("tcp", in_flight=lambda: 0, spooled=lambda: spool.frames_by_input().get("tcp", 0))
        self.tasks = [asyncio.create_task(work) for work in self.writer.workers()]

    async def _prepare(self, _: Session, first_us: int, last_us: int) -> None:
        self.prepared.append((first_us, last_us))

    def append(self, *batches: Any) -> None:
        for batch in batches:
            assert self.spool.append(batch) is not None
            self.metrics.received_frames.labels("tcp").inc(len(batch))

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"logstreamd_{name}", labels) or 0

    async def drained(self) -> None:
        """Wait for the writer; a worker that dies on the way fails the test at once."""
        drained = asyncio.create_task(self.writer.drained())
        await asyncio.wait([drained, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in self.tasks:
            if task.done():
                await task
        await drained

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.writer.close()


@asynccontextmanager
async def storing(
    database: str, *, spool: Spool | None = None, workers: int = 2, connect_: Connect | None = None
) -> AsyncIterator[Storing]:
    settings = ConnectionSettings(database, lock_timeout_seconds=1)
    one = Storing(
        spool or MemorySpool(window_bytes=1 << 24), connect_ or (lambda: connect(settings, purpose="writer")), workers
    )
    try:
        yield one
    finally:
        await one.stop()


async def stored(connection: asyncpg.Connection) -> list[str]:
    return [row["message"] for row in await connection.fetch("SELECT message FROM logs ORDER BY id")]


async def test_every_batch_is_stored_once_and_ids_follow_arrival(database: str, connection: asyncpg.Connection) -> None:
    names = [f"batch-{number:03}" for number in range(100)]
    async with storing(database, workers=4) as one:
        one.append(*(batch_of(numbered(20, name=name)) for name in names))
        await one.drained()
        assert await stored(connection) == [message for name in names for message in numbered(20, name=name)]
        assert one.count("stored_batches_total") == 100
        assert one.count("stored_rows_total", input="tcp") == 2_000
        assert one.metrics.ledger("tcp").imbalance == 0
        assert one.count("database_up") == 1
    marks = await connection.fetchrow("SELECT count(*), sum(row_count) FROM spool_marks")
    assert tuple(marks or ()) == (100, 2_000)


async def test_the_next_batch_is_encoded_while_one_is_being_stored(
    database: str, connection: asyncpg.Connection
) -> None:
    async with storing(database, workers=1) as one:
        one.append(batch_of(["first"]))
        await one.drained()  # batch numbers are claimed
        async with connection.transaction():
            await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            one.append(batch_of(["second"]), batch_of(["third"]), batch_of(["fourth"]))
            async with asyncio.timeout(20):
                while one.count("encode_seconds_count") < 3:
                    await asyncio.sleep(0.01)
            assert one.count("stored_batches_total") == 1
        await one.drained()
    assert await stored(connection) == ["first", "second", "third", "fourth"]


async def test_a_batch_encoded_ahead_is_left_to_the_spool_when_the_writer_stops(
    database: str, connection: asyncpg.Connection
) -> None:
    spool = MemorySpool(window_bytes=1 << 24)
    async with storing(database, workers=1, spool=spool) as one:
        one.append(batch_of(["first"]))
        await one.drained()
        async with connection.transaction():
            await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            one.append(batch_of(["second"]), batch_of(["third"]))
            async with asyncio.timeout(20):
                while one.count("encode_seconds_count") < 3:
                    await asyncio.sleep(0.01)
            await one.stop()
            assert spool.frames_by_input() == {"tcp": 2}


async def test_ids_of_a_quiet_receiver_and_a_busy_one_follow_arrival(
    database: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.writer._KEEP_NUMBERS_SECONDS", 0.0)
    async with storing(database, workers=1) as quiet, storing(database, workers=1) as busy:
        for one, message in ((quiet, "first"), (busy, "second"), (quiet, "third"), (busy, "fourth")):
            one.append(batch_of([message]))
            await one.drained()
    assert await stored(connection) == ["first", "second", "third", "fourth"]


async def test_partitions_are_asked_for_before_a_batch_is_stored(database: str) -> None:
    async with storing(database, workers=1) as one:
        one.append(batch_of(["<13>1 2026-11-20T00:00:00Z h a - - - old", "new"]))
        await one.drained()
        assert one.prepared == [(1_795_132_800_000_000, 1_795_316_400_000_001)]


async def test_until_the_schema_is_there_the_database_is_left_alone(database: str) -> None:
    async with storing(database) as one:
        one.migrated.clear()  # before the workers had their first turn
        one.append(batch_of(["x"]))
        await turns(20)
        assert one.health.problem == "not connected yet"
        one.migrated.set()
        await one.drained()


async def test_a_drained_spool_is_noticed_at_once(database: str) -> None:
    async with storing(database) as one:
        await one.drained()


async def test_poison_is_counted_and_the_ledger_closes(database: str, connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE logs ADD CHECK (message NOT LIKE 'poison%')")
    async with storing(database) as one:
        one.append(*(batch_of(numbered(50, bad=[3, 17])) for _ in range(4)))
        await one.drained()
        assert one.count("quarantined_rows_total", input="tcp") == 8
        assert one.count("stored_rows_total", input="tcp") == 192
        assert one.metrics.ledger("tcp").imbalance == 0


async def test_a_request_that_came_twice_is_stored_once_and_the_ledger_closes(
    database: str, connection: asyncpg.Connection
) -> None:
    request = uuid4()
    async with storing(database) as one:
        for _ in range(3):
            batch = batch_of(numbered(5))
            batch.request = (request, 0)
            one.append(batch)
        await one.drained()
        assert one.count("dropped_frames_total", input="tcp", reason="duplicate") == 10
        assert one.metrics.ledger("tcp").imbalance == 0
    assert await stored(connection) == numbered(5)


async def test_backends_that_are_killed_again_and_again_lose_and_double_nothing(
    database: str, connection: asyncpg.Connection
) -> None:
    names = [f"batch-{number:03}" for number in range(60)]
    async with storing(database) as one:
        one.append(*(batch_of(numbered(200, name=name)) for name in names))
        drained = asyncio.create_task(one.drained())
        kills = 0
        while not drained.done() and kills < 60:
            kills += await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'logstreamd writer'"
            )
            await asyncio.sleep(0.02)
        await drained
        assert kills > 0
        assert one.metrics.ledger("tcp").imbalance == 0
    assert await stored(connection) == [message for name in names for message in numbered(200, name=name)]


async def test_a_database_that_is_away_is_asked_now_and_then_and_used_when_it_is_back(
    database: str, connection: asyncpg.Connection
) -> None:
    attempts, away = 0, True

    async def connect_when_up() -> asyncpg.Connection:
        nonlocal attempts
        attempts += 1
        if away:
            raise ConnectionRefusedError("nobody there")
        return await connect(ConnectionSettings(database), purpose="writer")

    async with storing(database, connect_=connect_when_up) as one:
        one.append(*(batch_of(numbered(5)) for _ in range(3)))
        while not one.health.breaker_open:
            await asyncio.sleep(0.001)
        assert one.health.problem == "ConnectionRefusedError: nobody there"
        assert one.metrics.ledger("tcp").imbalance == 0
        while attempts < 8:  # it looks again after the breaker's time
            await asyncio.sleep(0.001)
        away = False
        await one.drained()
        assert one.health.problem is None
        assert one.count("stored_rows_total", input="tcp") == 15


async def test_it_stores_as_soon_as_a_person_has_mended_the_database(
    database: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE logs RENAME TO elsewhere")
    async with storing(database) as one:
        one.append(batch_of(numbered(5)))
        while not one.count("store_failures_total", kind="configuration"):
            await asyncio.sleep(0.001)
        assert one.metrics.ledger("tcp").spooled == 5
        await connection.execute("ALTER TABLE elsewhere RENAME TO logs")
        await one.drained()
    assert await stored(connection) == numbered(5)
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_after_a_restart_what_was_spooled_is_stored_under_the_ids_it_had(
    database: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    names = [f"batch-{number:02}" for number in range(20)]
    spool = new_spool(tmp_path)
    await spool.open()
    for name in names:
        durable = spool.append(batch_of(numbered(10, name=name)))
        assert durable is not None
        await durable
    async with connection.transaction():
        await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")  # numbers are given, nothing is stored
        async with storing(database, spool=spool) as one:
            while one.count("store_failures_total", kind="retryable") < 1:
                await asyncio.sleep(0.001)
        await spool.close()
    again = new_spool(tmp_path)
    await again.open()
    assert again.recovered_by_input == {"tcp": 200}
    async with storing(database, spool=again) as one:
        one.metrics.recovered_frames.labels("tcp").inc(200)
        await one.drained()
        assert one.metrics.ledger("tcp").imbalance == 0
    await again.close()
    assert await stored(connection) == [message for name in names for message in numbered(10, name=name)]
    assert await connection.fetchval("SELECT min(id) / 65536 FROM logs") == 1


async def test_a_batch_stored_before_a_crash_is_recognised_after_it(
    database: str, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    spool = new_spool(tmp_path)
    await spool.open()
    spool.append(batch_of(numbered(10)))
    spool.acknowledge = lambda seqs: None  # type: ignore[method-assign]  # the crash comes before
    async with storing(database, spool=spool) as one:
        while not one.count("stored_batches_total"):
            await asyncio.sleep(0.001)
    await spool.close()
    again = new_spool(tmp_path)
    await again.open()
    async with storing(database, spool=again) as one:
        one.metrics.recovered_frames.labels("tcp").inc(10)
        await one.drained()
        assert one.count("repeated_batches_total") == 1
        assert one.metrics.ledger("tcp").imbalance == 0
    await again.close()
    assert await stored(connection) == numbered(10)


async def test_a_bug_ends_the_worker_and_the_spool_keeps_the_batch(database: str) -> None:
    async with storing(database, workers=1) as one:
        batch = batch_of(["x"])
        batch.peers[0] = "nowhere"
        one.append(batch)
        with pytest.raises(ValueError, match="nowhere"):
            await one.tasks[0]
        assert one.metrics.ledger("tcp").spooled == 1


async def test_a_batch_is_a_span_and_encoding_copying_and_committing_it_are_its_parts(database: str) -> None:
    async with OtlpReceiver() as receiver, storing(database, workers=1) as one:
        with traced(receiver.endpoint) as tracer:
            batch = batch_of(numbered(20))
            one.append(batch, batch_of(["<13>1 2026-11-22T00:00:00Z h a - - - x [trace_id=4bf92f3577b34da6]"]))
            await one.drained()
            await tracer.stop(10)
    first, second = sorted(receiver.named("batch"), key=lambda span: span.start_ns)
    age = first.attributes.pop("logstreamd.age_seconds")
    assert first.attributes == {
        "logstreamd.input": "tcp",
        "logstreamd.rows": 20,
        "logstreamd.bytes": len(batch.data),
        "logstreamd.batch": 1,
        "logstreamd.spool_seq": 1,
    }
    assert age == pytest.approx(first.start_ns / 1e9 - batch.received_at[0] / 1e6)
    assert (first.parent_id, first.failed) == ("", False)
    assert first.trace_id != second.trace_id
    parts = [span for span in receiver.spans if span.parent_id == first.span_id]
    assert {span.trace_id for span in parts} == {first.trace_id}
    encode, copy, commit = (only(parts, name) for name in ("encode", "COPY", "commit"))
    assert first.start_ns <= encode.start_ns <= encode.end_ns <= copy.start_ns
    assert copy.end_ns <= commit.start_ns <= commit.end_ns <= first.end_ns
    assert (copy.kind, copy.attributes["logstreamd.rows"], copy.attributes["logstreamd.quarantined"]) == (
        "client",
        20,
        0,
    )
    assert {span.trace_id for span in receiver.spans} == {first.trace_id, second.trace_id}  # no line's own


async def test_an_attempt_that_failed_is_a_failed_part_of_its_batch(
    database: str, connection: asyncpg.Connection
) -> None:
    async with OtlpReceiver() as receiver, storing(database, workers=1) as one:
        with traced(receiver.endpoint) as tracer, log_lines() as log:
            async with connection.transaction():
                await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
                one.append(batch_of(["x"]))
                async with asyncio.timeout(20):
                    while not log.about("database trouble, will retry"):
                        await asyncio.sleep(0.01)
            await one.drained()
            await tracer.stop(10)
    batch = only(receiver.spans, "batch")
    *failed, copied = sorted(receiver.named("COPY"), key=lambda span: span.start_ns)
    assert failed
    assert all(span.failed and span.attributes["error.type"] == "LockNotAvailableError" for span in failed)
    assert not copied.failed
    assert {span.parent_id for span in (*failed, copied)} == {batch.span_id}
    assert not batch.failed
    (line, *_) = log.about("database trouble, will retry")
    assert (line["trace_id"], line["span_id"]) == (batch.trace_id, batch.span_id)


async def test_lines_of_the_log_about_a_batch_say_which_one_it_is(
    database: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE logs ADD CHECK (message NOT LIKE 'poison%')")
    async with storing(database, workers=1) as one:
        with log_lines() as log:
            one.append(batch_of(["good"]), batch_of(["poison"]), batch_of(["good"]))
            await one.drained()
    (line,) = log.about("rows refused by PostgreSQL are in the table quarantine")
    assert (line["batch"], line["spool_seq"], line["input"], line["rows"]) == (2, 2, "tcp", 1)
