"""``logstreamd db retention``: what it says, what it does, how it exits."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from batches import encoded
from click.testing import CliRunner, Result
from exactness import violations

from logstreamd.cli import cli
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.partitions import Partitions
from logstreamd.storage.store import store_batch
from logstreamd.wire.batch import Batch

POLICY = "retention: {days: 7, rules: [{level: debug, days: 3}]}\n"


def day(ago: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=ago)


@pytest.fixture
async def settings(database: str, connection: asyncpg.Connection, tmp_path: Path) -> Path:
    """A configuration, and a database with two rows (one of them debug) of today, of 5 and of 9 days ago."""
    partitions = Partitions()
    batch = Batch("tcp")
    for ago in (0, 5, 9):
        await partitions.ensure(connection, [day(ago)])
        for severity in (6, 7):
            frame = f"<{8 + severity}>1 {day(ago)}T00:00:00Z web-1 api - - - hello"
            received_at = datetime(*day(ago).timetuple()[:3], tzinfo=UTC).timestamp() * 1_000_000
            batch.append(frame.encode(), round(received_at), batch.peer_id("192.0.2.7"))
    await store_batch(connection, batch, encoded(batch), spool_id=UUID(int=7), seq=1)
    path = tmp_path / "logstreamd.yaml"
    path.write_text(f"database: {{dsn: '{database}'}}\n{POLICY}")
    return path


async def retention(settings: Path, *options: str) -> Result:
    arguments = ["db", "retention", "--config", str(settings), *options]
    return await asyncio.to_thread(CliRunner().invoke, cli, arguments)


def shown(result: Result) -> list[tuple[str, str, str]]:
    """Day, rows and reason of each line."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return [(line[0], line[1], " ".join(line[5:])) for line in lines]


def expected() -> list[tuple[str, str, str]]:
    return [(str(day(9)), "2", "older than 7 days"), (str(day(5)), "1", "debug older than 3 days")]


async def test_a_dry_run_says_what_would_go_and_why_and_changes_nothing(
    settings: Path, connection: asyncpg.Connection
) -> None:
    result = await retention(settings, "--dry-run")
    assert (result.exit_code, shown(result)) == (0, expected())
    assert await connection.fetchval("SELECT count(*) FROM logs") == 6


async def test_it_says_what_went(settings: Path, connection: asyncpg.Connection) -> None:
    result = await retention(settings)
    assert (result.exit_code, shown(result)) == (0, expected())
    assert await connection.fetchval("SELECT count(*) FROM logs") == 3
    assert await violations(connection) == {}
    again = await retention(settings)
    assert (again.exit_code, again.stdout) == (0, "nothing to do\n")


async def test_what_is_in_use_is_named_and_the_exit_code_says_so(
    database: str, settings: Path, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.storage.partitions.DETACH_ATTEMPTS", 1)
    reader = await connect(ConnectionSettings(database), purpose="reader")
    async with reader.transaction():
        await reader.fetch("SELECT FROM logs")
        result = await retention(settings)
    await reader.close()
    assert (result.exit_code, shown(result)) == (1, expected()[1:])
    assert f"in use, or a daemon is at work on it: {day(9)}; try again later" in result.stderr
