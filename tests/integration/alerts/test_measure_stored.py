from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from stored_lines import random_time, store_random_lines

from logstreamd.alerts.aggregate import Aggregate, Distinct, Lines, Share, Silence, Windows
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import Measurement
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.measure_stored import StoredMeasurer
from logstreamd.query.database import Database
from logstreamd.query.filter import parse_filter
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


@pytest.fixture
async def asked(database: str) -> AsyncIterator[Database]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=2, purpose="rules")
    yield Database(pool, max_concurrent=2)
    await pool.close()


async def stored_rows(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("SELECT * FROM logs")
    return [{**row, "attrs": json.loads(row["attrs"] or "null"), "peer": str(row["peer"])} for row in rows]


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
