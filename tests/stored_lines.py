"""Random lines, stored batch by batch, and how many of them a question has to find: counted here, row by row."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
from batches import batch_of, encoded

from logstreamd.query.filter import Filter, matches
from logstreamd.record import LEVELS
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=7)
FIRST = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
"""No line is earlier; the last one comes six hours and a midnight later."""

_SERVICES = ("api", "db", "web", "über-cache", None)
_HOSTS = ("web-1", "web-2", None)
_WORDS = ("timeout", "refused", "ok", "retry")
_ODD = (0, 1, 999_999)  # microseconds into a minute or out of it


async def store(connection: asyncpg.Connection, *messages: str, number: int = 1) -> None:
    """Store messages as one batch."""
    batch = batch_of(messages)
    await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=number)


async def store_random_lines(connection: asyncpg.Connection, random: Random, batches: int = 4, rows: int = 150) -> None:
    """Store lines of all kinds; every batch has some that are hours late."""
    for number in range(1, batches + 1):
        await store(connection, *(random_line(random) for _ in range(rows)), number=number)


def random_time(random: Random) -> datetime:
    """Return a time among the lines', often at the edge of a minute."""
    minute = FIRST + timedelta(minutes=random.randrange(360))
    if random.random() < 0.3:
        return minute + timedelta(microseconds=random.choice(_ODD))
    return minute + timedelta(microseconds=random.randrange(60_000_000))


def random_line(random: Random) -> str:
    """Return a line of JSON with some of the fields that can be counted by."""
    fields = {
        "timestamp": random_time(random).isoformat(),
        "level": random.choice(LEVELS),
        "service": random.choice(_SERVICES),
        "host": random.choice(_HOSTS),
        "message": " ".join(random.choices(_WORDS, k=2)),
        "user": random.choice((1, 2.5, "1", "x", None, True, ["a"])),
        "tags": {"env": random.choice(("prod", "test"))},
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


async def count_rows(
    connection: asyncpg.Connection, *, start: datetime, end: datetime, tree: Filter, step: timedelta | None
) -> Counter[tuple[str | None, str | None, str | None, str | None, datetime | None]]:
    """Count the rows that a filter takes by service, level, host, tag and begin of their step."""
    counted: Counter[Any] = Counter()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for row in await connection.fetch("SELECT * FROM logs WHERE ts >= $1 AND ts < $2", start, end):
        attrs = json.loads(row["attrs"])
        if matches(tree, {**row, "attrs": attrs}):
            begin = step and row["ts"] - (row["ts"] - epoch) % step
            counted[row["service"], LEVELS[row["severity"]], row["host"], attrs["tags"]["env"], begin] += 1
    return counted
