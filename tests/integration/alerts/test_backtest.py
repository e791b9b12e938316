from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from stored_lines import FIRST, store, store_random_lines
from stored_rows import stored_rows

from logstreamd.alerts import backtest as backtest_module
from logstreamd.alerts.backtest import Backtest, Firing
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.evaluate import evaluate
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import MeasureError, measurement_of
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import RuleState
from logstreamd.query.filter import parse_filter
from logstreamd.storage.counts import fold_counts
from logstreamd.storage.migrate import Connection

Reading = Callable[[], AbstractAsyncContextManager[Connection]]


@pytest.fixture
def reading(connection: asyncpg.Connection) -> Reading:
    @asynccontextmanager
    async def read() -> AsyncIterator[Connection]:
        async with connection.transaction(readonly=True):
            yield connection

    return read


def rule(condition: str, *by: str, query: str = "", over: int = 300, interval: int = 60, **more: Any) -> Rule:
    """A rule whose window and interval are given in seconds."""
    return Rule(
        "Rule",
        read_condition(condition),
        timedelta(seconds=over),
        parse_filter(query),
        tuple(map(read_group_key, by)),
        interval=timedelta(seconds=interval),
        **more,
    )


def at(minutes: float) -> datetime:
    return FIRST + timedelta(minutes=minutes)


def line(minutes: float, *, level: int = 3, service: str = "shop", message: str = "boom") -> str:
    return f"<{8 + level}>1 {at(minutes).isoformat()} web-1 {service} - - - {message}"


async def run(reading: Reading, one: Rule, *, minutes: float = 60, start: float = 0, **options: Any) -> list[Firing]:
    return await Backtest(reading, since=at(start), until=at(minutes), **options).run(one)


@pytest.mark.parametrize("query", ["level>=error", "boom"])
async def test_a_burst_fires_and_resolves_at_the_instants_that_its_lines_say(
    connection: asyncpg.Connection, reading: Reading, query: str
) -> None:
    # 12 lines, 10 s apart, from 10:05 on; the 11th comes at 11:45, and at 12:00 all are in the window of 5 minutes.
    # When it begins at 10:15, the second line is the first of 11; that is so at 15:15, and at 15:30 no more.
    await store(connection, *(line(10 + (5 + 10 * number) / 60) for number in range(12)))
    for folded in (False, True):
        if folded:
            await fold_counts(connection)
        one = rule("count > 10", "service", query=query, for_=timedelta(minutes=2))
        expected = Firing("Rule", {"service": "shop"}, at(12), at(14), at(16), 12)
        assert await run(reading, one) == [expected]
        every_15_seconds = await run(reading, one, step=timedelta(seconds=15))
        assert every_15_seconds == [Firing("Rule", {"service": "shop"}, at(12), at(14), at(15.5), 12)]


async def test_what_still_fires_at_the_end_has_no_end(connection: asyncpg.Connection, reading: Reading) -> None:
    await store(connection, line(10))
    silence = rule("absent(lookback=30m)", "service", over=600)
    # A line exactly at the begin of the window lies in it.
    (firing,) = await run(reading, silence, minutes=30)
    assert (firing.fired_at, firing.resolved_at, firing.peak) == (at(21), None, 1200)
    (firing,) = await run(reading, silence)
    assert firing.resolved_at == at(41)


async def test_the_peak_is_on_the_side_that_is_asked_for(connection: asyncpg.Connection, reading: Reading) -> None:
    lines = [line(minute + part / 10) for minute in range(20) for part in range({7: 2, 8: 1, 9: 3}.get(minute, 5))]
    await store(connection, *lines)
    (firing,) = await run(reading, rule("count < 4", over=60), start=1, minutes=20)
    assert (firing.fired_at, firing.resolved_at, firing.peak) == (at(8), at(11), 1)


async def test_nothing_is_asked_where_no_instant_lies(reading: Reading) -> None:
    one = rule("count == 0")
    assert await run(reading, one, start=0.5, minutes=0.9) == []
    assert Backtest(reading, since=at(0), until=at(5)).evaluations(one) == 6


CONDITIONS = (
    "count > 4",
    "count < 2",
    "ratio(level>=error) > 30%",
    "ratio(timeout) > 50% and count >= 3",
    "distinct(host) > 1",
    "distinct(service) >= 3",
    "absent(lookback=25m)",
    "spike(factor=1, windows=4, min=2, side=both)",
)
QUERIES = ("", "level>=notice", "timeout", "host:web-1", "service:api")


@pytest.mark.parametrize("seed", range(3))
async def test_a_backtest_says_what_the_evaluation_of_the_same_rows_says(
    connection: asyncpg.Connection, reading: Reading, seed: int
) -> None:
    random = Random(seed)
    await store_random_lines(connection, random, batches=3, rows=200)
    rows = RowMeasurer(await stored_rows(connection))
    for condition in CONDITIONS:
        one = rule(
            condition,
            *random.sample(("service", "level", "host", "tag.env"), k=random.randrange(3)),
            query=random.choice(QUERIES),
            over=random.choice((60, 90, 300, 600)),
            interval=random.choice((45, 60, 300)),
            for_=timedelta(seconds=random.choice((0, 120))),
            keep_firing_for=timedelta(seconds=random.choice((0, 120))),
        )
        found = await run(reading, one, start=5, minutes=300)
        got = sorted(
            (firing.fired_at, firing.resolved_at, sorted(firing.labels.items()))
            for firing in found
            if firing.resolved_at
        )
        assert got == sorted(expected_firings(one, rows, at(5), at(300))), one


def expected_firings(one: Rule, rows: RowMeasurer, since: datetime, until: datetime) -> list[Any]:
    """Evaluate instant by instant, on rows in memory."""
    state, found = RuleState(), []
    seconds = one.interval.total_seconds()
    now = datetime.fromtimestamp(-(-since.timestamp() // seconds) * seconds, since.tzinfo)
    while now <= until:
        evaluation = evaluate(one, state, now, rows.measure(measurement_of(one, now)))
        for change in evaluation.transitions:
            if change.after == "resolved":
                labels = {name: value for name, value in change.labels.items() if name != "alertname"}
                found.append((change.instance.fired_at, now, sorted(labels.items())))
        state, now = evaluation.state, now + one.interval
    return found


async def test_more_than_fits_into_memory_is_refused(
    connection: asyncpg.Connection, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest_module, "MAX_TALLIES", 3)
    await store(
        connection, *(line(10 + number / 100, message=f"m{number}", service=f"s{number}") for number in range(5))
    )
    with pytest.raises(MeasureError, match="more than 3 different groups and values"):
        await run(reading, rule("count > 1", "service", query="boom OR m1 OR m2 OR m3 OR m4"))


async def test_old_steps_are_forgotten(
    connection: asyncpg.Connection, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest_module, "MAX_TALLIES", 65)
    await store(connection, *(line(minute) for minute in range(300)))
    (firing,) = await run(reading, rule("count > 4", query="boom"), start=5, minutes=310)
    assert (firing.fired_at, firing.resolved_at) == (at(5), at(301))
