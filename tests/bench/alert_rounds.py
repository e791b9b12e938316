"""``python -m tests.bench --alerts 500``: processor time of many rules on a table of some million rows.

Lines of many services come at a steady rate up to the present. Then time goes on by a second at a time: the lines of
that second are stored, and looked after as the daemon does it (counts are folded, blocks merged, the index summarized);
after that a fifteenth of the rules is evaluated, which is measured. So each rule is evaluated every 15 s.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from uuid import uuid4

import asyncpg

from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.evaluate import evaluate
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import measurement_of
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import RuleState
from logstreamd.query.database import Database
from logstreamd.query.filter import parse_filter
from logstreamd.storage.blocks import BlockMerger
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.counts import fold_counts
from logstreamd.storage.migrate import migrate
from logstreamd.storage.partitions import Partitions, days_between
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import encode
from logstreamd.wire.policy import Policy
from tests.bench.alert_rules import rule_texts

__all__ = ["AlertsResult", "alerts_as_table", "measure_alerts"]

_INTERVAL = timedelta(seconds=15)
_SUMMARIZE_EVERY = timedelta(seconds=10)  # as the daemon does
_PHASE = timedelta(milliseconds=37)  # groups are not evaluated at whole seconds
_BATCH_ROWS = 4_096
_WARM_UP_ROUNDS = 3  # until every window's lines have been read once
_SERVICES = tuple(f"service-{number:02d}" for number in range(40))
_HOSTS = tuple(f"web-{number:02d}" for number in range(60))
_SYSLOG = (
    "request {n} from user {user} answered in {ms} ms",
    "order {n} placed by user {user}, total {ms}.99 EUR",
    "cache miss for key session:{user}:{n}, loaded in {ms} ms",
    "retrying request {n} to payment provider, attempt {ms}",
)
_RARE = ("disk quota exceeded", "failed password for root", "out of memory: killed process {n}")


@dataclass(frozen=True)
class AlertsResult:
    """What the rules cost.

    Attributes:
        rules: how many.
        rows: in the table.
        lines_per_second: stored meanwhile.
        round_seconds: how long one evaluation of all rules took, on average.
        daemon_share: processor time of the evaluating process, as a part of one core's.
        postgres_share: of all processes of PostgreSQL meanwhile; the storing of lines is not in it.
    """

    rules: int
    rows: int
    lines_per_second: float
    round_seconds: float
    daemon_share: float
    postgres_share: float


async def measure_alerts(count: int, rows: int, rate: int, rounds: int, dsn: str) -> AlertsResult:
    """Measure rules on a new database.

    Args:
        count: how many rules.
        rows: lines before the first round.
        rate: lines a second, before it and meanwhile.
        rounds: how often each rule is evaluated while it is measured.
        dsn: an empty database.
    """
    # The scheduler evaluates at whole seconds, and the lines of a round end there.
    rows -= rows % (rate * int(_INTERVAL.total_seconds()))
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=rows // rate)
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
        loader = _Loader(connection, begin, rate)
        await loader.store(rows, batch_rows=_BATCH_ROWS)
        await connection.execute("VACUUM ANALYZE")
        return await _run(list(_rules(count)), loader, rate, rounds, dsn)
    finally:
        await connection.close()


def _rules(count: int) -> Iterator[Rule]:
    for one in rule_texts(count, services=_SERVICES):
        yield Rule(
            one.name,
            read_condition(one.condition),
            one.over,
            parse_filter(one.query),
            tuple(map(read_group_key, one.by)),
            interval=_INTERVAL,
        )


class _Loader:
    """Stores lines at a steady rate of their own clock."""

    def __init__(self, connection: asyncpg.Connection, begin: datetime, rate: int) -> None:
        self.connection = connection
        self._random = random.Random(1)
        self._partitions = Partitions()
        self._summarized = begin
        self._merger = BlockMerger(clock=lambda: self.rows / rate)
        self._spool_id = uuid4()
        self._batches = 0
        self._begin = begin
        self._rate = rate
        self.rows = 0

    @property
    def now(self) -> datetime:
        """The time of the next line."""
        return self._begin + timedelta(seconds=1) * self.rows / self._rate

    async def store(self, rows: int, batch_rows: int) -> None:
        for first in range(0, rows, batch_rows):
            await self._store_batch(min(batch_rows, rows - first))
        while (await fold_counts(self.connection)).more:
            pass
        await self._merger.merge(self.connection)
        if self.now - self._summarized >= _SUMMARIZE_EVERY:
            self._summarized = self.now
            await self._partitions.summarize(self.connection, [self.now.date()])

    async def _store_batch(self, rows: int) -> None:
        batch = Batch("tcp")
        peer = batch.peer_id("192.0.2.7")
        first_us = _microseconds(self.now)
        for _ in range(rows):
            batch.append(self._line(), _microseconds(self.now), peer)
            self.rows += 1
        await self._partitions.ensure(self.connection, days_between(first_us, _microseconds(self.now)))
        number = await self.connection.fetchval("SELECT nextval('batch_number')")
        encoded = encode(batch, number * 65_536, Policy())
        self._batches += 1
        await store_batch(self.connection, batch, encoded, spool_id=self._spool_id, seq=self._batches)

    def _line(self) -> bytes:
        bits = self._random.getrandbits(48)
        service, host = _SERVICES[bits % 40], _HOSTS[bits >> 8 & 31]
        n, ms, user = bits >> 16 & 0xFFFFFF, bits >> 20 & 255, bits >> 24 & 8191
        stamp = self.now.isoformat(timespec="microseconds")
        if bits >> 40 & 3 == 0:
            status = 500 if bits >> 30 & 31 == 0 else 200
            return (
                f'{{"timestamp":"{stamp}","level":"info","service":"{service}","host":"{host}",'
                f'"message":"GET /products/{n}","status":{status},"duration_ms":{ms}}}'
            ).encode()
        if n & 0xFFFF == 0:
            return f"<131>1 {stamp} {host} {service} - - - {_RARE[bits % 3].format(n=n)}".encode()
        priority = 131 if ms < 5 else 132 if ms < 20 else 134
        return (
            f"<{priority}>1 {stamp} {host} {service} - - - {_SYSLOG[bits & 3].format(n=n, ms=ms, user=user)}".encode()
        )


def _microseconds(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)


async def _run(rules: Sequence[Rule], loader: _Loader, rate: int, rounds: int, dsn: str) -> AlertsResult:
    pool = await create_reader_pool(ConnectionSettings(dsn), max_size=2, purpose="rules")
    try:
        measurer = StoredMeasurer(Database(pool, max_concurrent=2, timeout_seconds=30), patience_seconds=600)
        states = {rule.alert: RuleState() for rule in rules}
        server = _Server(await loader.connection.fetchval("SELECT pg_backend_pid()"))
        costs = []
        for _ in range(_WARM_UP_ROUNDS + rounds):
            costs.append([0.0, 0.0, 0.0])
            for second in range(int(_INTERVAL.total_seconds())):
                # Ten batches a second at most, as a daemon has them at such rates.
                await loader.store(rate, batch_rows=max(1, rate // 10))
                due = rules[second :: int(_INTERVAL.total_seconds())]
                cost = await _instant(due, states, measurer, loader.now + second * _PHASE, server)
                costs[-1] = [sum(pair) for pair in zip(costs[-1], cost, strict=True)]
    finally:
        await pool.close()
    seconds, own, postgres = (mean(column) for column in zip(*costs[_WARM_UP_ROUNDS:], strict=True))
    interval = _INTERVAL.total_seconds()
    return AlertsResult(len(rules), loader.rows, rate, seconds, own / interval, postgres / interval)


async def _instant(
    rules: Sequence[Rule], states: dict[str, RuleState], measurer: StoredMeasurer, now: datetime, server: _Server
) -> tuple[float, float, float]:
    """Evaluate some rules; return the seconds it took, and the processor time here and of PostgreSQL."""

    async def one(rule: Rule) -> None:
        answer = await measurer.measure(measurement_of(rule, now))
        states[rule.alert] = evaluate(rule, states[rule.alert], now, answer).state

    started, own, postgres = time.perf_counter(), time.process_time(), server.cpu_seconds()
    await asyncio.gather(*map(one, rules))
    return time.perf_counter() - started, time.process_time() - own, server.cpu_seconds() - postgres


class _Server:
    """The processes of the server that a connection leads to.

    Args:
        backend: the process of any connection.
    """

    def __init__(self, backend: int) -> None:
        self._postmaster = int(_stat(Path(f"/proc/{backend}/stat"))[1])

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes, ended ones included."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                stat = _stat(path)
            except OSError:  # ended meanwhile
                continue
            if path.parent.name == str(self._postmaster):
                ticks += sum(map(int, stat[11:15]))  # its own, and that of children that ended
            elif int(stat[1]) == self._postmaster:
                ticks += sum(map(int, stat[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def _stat(path: Path) -> list[str]:
    """Return the fields behind the name, which may hold blanks. Source: proc(5), stat."""
    return path.read_text().rpartition(")")[2].split()


def alerts_as_table(result: AlertsResult) -> str:
    """Write it for people."""
    return "\n".join(
        (
            "| rules | rows | lines/s | round s | daemon | PostgreSQL | together |",
            "|--:|--:|--:|--:|--:|--:|--:|",
            f"| {result.rules} | {result.rows:,} | {result.lines_per_second:,.0f} | {result.round_seconds:.2f} "
            f"| {result.daemon_share:.1%} | {result.postgres_share:.1%} "
            f"| {result.daemon_share + result.postgres_share:.1%} |",
        )
    )
