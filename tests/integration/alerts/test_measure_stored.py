from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from random import Random

import asyncpg
import pytest
from stored_lines import FIRST, random_line, random_time, store, store_random_lines
from stored_rows import stored_rows

from logstreamd.alerts import book_shelf, measure_stored, measured
from logstreamd.alerts.aggregate import Aggregate, Distinct, Lines, Share, Silence, Windows
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import MeasureError, Measurement
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.query import minute_counts, recent_blocks
from logstreamd.query.database import Database
from logstreamd.query.filter import parse_filter
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.storage.blocks import SETTLE_SECONDS, BlockMerger
from logstreamd.storage.connections import ConnectionSettings, create_reader_pool
from logstreamd.storage.counts import fold_counts

KEYS = ("service", "host", "level", "attrs.user", "tag.env", "attrs.missing")
FILTERS = (
    "",
    "level>=error",
    "service!=web level>=notice",
    "-service:*",
    "service:/^(api|web)$/ OR level:debug",
    "timeout",
    "host:web-1",
    "attrs.user:1 -retry",
    "nowhere",
    "level:error service:api refused",
)
SECONDS = (1, 30, 60, 61.5, 90, 300, 3600)


TIMEOUTS = Rule(
    "Timeouts", read_condition("count > 5"), timedelta(minutes=5), parse_filter("timeout"), (read_group_key("service"),)
)


class ManualClock:
    """Seconds that grow when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def line(minute: int, *, service: str = "s", message: str = "timeout") -> str:
    return f"<11>1 {(FIRST + timedelta(minutes=minute)).isoformat()} web-1 {service} - - - {message}"


def about_timeouts(end: int, *, over: int = 60) -> Measurement:
    """A question whose window ends so many minutes after the first line."""
    last = FIRST + timedelta(minutes=end)
    return Measurement(Lines(), TIMEOUTS.query, (), last - timedelta(minutes=over), last)


@pytest.fixture
async def asked(database: str) -> AsyncIterator[Database]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=2, purpose="rules")
    yield Database(pool, max_concurrent=2)
    await pool.close()


def random_aggregate(random: Random, over: timedelta) -> Aggregate:
    return random.choice(
        (
            Lines(),
            Share(parse_filter(random.choice(FILTERS))),
            Distinct(read_group_key(random.choice(KEYS))),
            Silence(over * random.randint(1, 5)),
            Windows(random.randint(4, 10)),
        )
    )


def random_measurement(random: Random) -> Measurement:
    end, over = (
        random_time(random) + timedelta(minutes=random.choice((0, 0, 30))),
        timedelta(seconds=random.choice(SECONDS)),
    )
    if random.random() < 0.5:
        end = end.replace(second=0, microsecond=0)
    keys = tuple(read_group_key(name) for name in random.sample(KEYS, k=random.choice((0, 1, 1, 2))))
    if random.random() < 0.4:  # what the counts may know
        keys = tuple(key for key in keys if key.name in ("service", "level"))
        tree = parse_filter(random.choice(FILTERS[:5]))
    else:
        tree = parse_filter(random.choice(FILTERS))
    return Measurement(random_aggregate(random, over), tree, keys, end - over, end)


@pytest.mark.every_postgres
@pytest.mark.parametrize("seed", range(4))
async def test_what_is_stored_measures_as_the_same_rows_in_memory(
    connection: asyncpg.Connection, asked: Database, seed: int
) -> None:
    random = Random(seed)
    await store_random_lines(connection, random)
    if seed % 2:
        await fold_counts(connection)
    expected, measurer = RowMeasurer(await stored_rows(connection)), StoredMeasurer(asked)
    for _ in range(150):
        measurement = random_measurement(random)
        assert await measurer.measure(measurement) == expected.measure(measurement), measurement


@pytest.mark.parametrize("seed", range(3))
async def test_batches_that_come_late_or_are_merged_are_measured_as_often_as_they_are_there(
    connection: asyncpg.Connection, asked: Database, seed: int
) -> None:
    random, clock, merged = Random(seed), ManualClock(), 0
    measurer, merger = StoredMeasurer(asked, look_seconds=0), BlockMerger(clock=clock)
    measurements = [random_measurement(random) for _ in range(40)]
    for number in (3, 1, 5, 2, 9, 4):  # 2 and 4 come into what was merged
        await store(connection, *(random_line(random) for _ in range(60)), number=number)
        await merger.merge(connection)
        clock.now += SETTLE_SECONDS + 1
        merged += (await merger.merge(connection)).parts
        expected = RowMeasurer(await stored_rows(connection))
        for measurement in measurements:
            assert await measurer.measure(measurement) == expected.measure(measurement), (number, measurement)
    assert merged


async def test_the_rules_of_an_instant_share_what_they_read(
    connection: asyncpg.Connection, asked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_random_lines(connection, Random(1), batches=1)
    reads = []
    reading = asked.reading
    monkeypatch.setattr(asked, "reading", lambda: (reads.append(1), reading())[1])
    end = FIRST + timedelta(hours=2)
    measurements = [
        Measurement(Lines(), parse_filter(tree), (read_group_key("service"),), end - timedelta(minutes=over), end)
        for tree in ("level>=error", "level>=warning", "service:api")
        for over in (1, 5, 60)
    ]
    measurer = StoredMeasurer(asked, look_seconds=60)
    await asyncio.gather(*map(measurer.measure, measurements))
    assert len(reads) == 1
    await measurer.measure(measurements[0])
    assert len(reads) == 1  # by then the window had ended
    later = replace(measurements[0], start=end, end=end + timedelta(minutes=1))
    await measurer.measure(later)
    assert len(reads) == 2


async def test_a_block_is_read_once_by_a_rule(connection: asyncpg.Connection, asked: Database) -> None:
    await store(connection, *(line(minute) for minute in range(10)), number=1)
    measurer = StoredMeasurer(asked, look_seconds=0)
    await measurer.measure(about_timeouts(10))
    await connection.execute("UPDATE logs SET message = 'changed behind its back'")
    assert (await measurer.measure(about_timeouts(10))).measured[0].value == 10
    assert (await measurer.measure(about_timeouts(9))).measured[0].value == 9
    await store(connection, line(10), number=2)
    assert (await measurer.measure(about_timeouts(11))).measured[0].value == 11


async def test_what_is_too_much_to_be_kept_is_asked_each_time(
    connection: asyncpg.Connection, asked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_shelf, "MAX_TALLIES_OF_BOOK", 5)
    await store(connection, *(line(minute) for minute in range(10)), number=1)
    measurer = StoredMeasurer(asked, look_seconds=0)
    assert (await measurer.measure(about_timeouts(10))).measured[0].value == 10
    await connection.execute("UPDATE logs SET message = 'changed behind its back'")
    assert (await measurer.measure(about_timeouts(10))).measured[0].value == 0


async def test_more_blocks_than_are_listed_are_asked_each_time(
    connection: asyncpg.Connection, asked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_blocks, "_MOST_BLOCKS", 2)
    for number in range(5):
        await store(connection, line(number), number=number + 1)
    measurer = StoredMeasurer(asked)
    assert (await measurer.measure(about_timeouts(5))).measured[0].value == 5
    assert (await measurer.measure(about_timeouts(5, over=1))).measured[0].value == 1


async def test_more_counts_than_are_kept_are_added_up_by_the_database(
    connection: asyncpg.Connection, asked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_counts, "_MOST_CELLS", 20)
    await store(connection, *(line(minute, service=f"s{minute % 3}") for minute in range(10)), number=1)
    measurement = Measurement(Lines(), EVERYTHING, (), FIRST, FIRST + timedelta(minutes=10))
    assert (await StoredMeasurer(asked).measure(measurement)).measured[0].value == 10


async def test_groups_beyond_the_most_are_cut_and_said_to_be(
    connection: asyncpg.Connection, asked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (measured, measure_stored):
        monkeypatch.setattr(module, "MAX_GROUPS", 2)
    await store(connection, *(line(minute, service=f"s{minute % 4}") for minute in range(10)), number=1)
    by = (read_group_key("service"),)
    for end in (timedelta(minutes=10), timedelta(minutes=10, microseconds=1)):  # together, and by itself
        answer = await StoredMeasurer(asked).measure(Measurement(Lines(), EVERYTHING, by, FIRST, FIRST + end))
        assert [(one.group, one.value) for one in answer.measured] == [(("s0",), 3), (("s1",), 3)]
        assert answer.cut


async def test_a_question_that_takes_too_long_is_no_answer_and_no_later_one_waits_for_it(
    connection: asyncpg.Connection, database: str
) -> None:
    await store(connection, *(line(minute) for minute in range(10)), number=1)
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=0.2), max_size=1)
    measurer = StoredMeasurer(Database(pool, max_concurrent=1), patience_seconds=0.05)
    async with connection.transaction():
        await connection.execute("LOCK TABLE blocks")
        end = FIRST + timedelta(hours=1)
        first = asyncio.create_task(measurer.samples(TIMEOUTS, ("s",), start=FIRST, end=end, limit=1))
        await asyncio.sleep(0)  # it takes its turn
        with pytest.raises(MeasureError, match="no turn"):
            await measurer.measure(about_timeouts(10))
        with pytest.raises(MeasureError, match="timeout"):
            await first
    assert (await measurer.measure(about_timeouts(10))).measured[0].value == 10
    await pool.close()


async def test_a_database_that_is_away_is_a_measurement_that_failed(
    asked: Database, connection: asyncpg.Connection
) -> None:
    measurer = StoredMeasurer(asked)
    await connection.execute("ALTER TABLE blocks RENAME TO gone")
    for _ in range(2):
        with pytest.raises(MeasureError, match="blocks"):
            await measurer.measure(about_timeouts(10))


async def test_samples_are_the_newest_lines_that_prove_an_alert(
    connection: asyncpg.Connection, asked: Database
) -> None:
    await store(
        connection,
        *(line(minute, service="s" if minute % 2 else "t") for minute in range(10)),
        line(7, service="s", message="something else"),
        number=1,
    )
    start, end = FIRST, FIRST + timedelta(minutes=9)
    logs = await StoredMeasurer(asked).samples(TIMEOUTS, ("s",), start=start, end=end, limit=3)
    assert [log["ts"] - FIRST for log in logs] == [timedelta(minutes=minute) for minute in (7, 5, 3)]
    assert {(log["service"], log["level"], log["message"]) for log in logs} == {("s", "error", "timeout")}
    assert await StoredMeasurer(asked).samples(TIMEOUTS, ("s",), start=start, end=end, limit=0) == []
