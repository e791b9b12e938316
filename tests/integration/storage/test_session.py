from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from logstreamd.metrics import Metrics
from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.session import Health, Session


class Sessions:
    def __init__(self, database: str) -> None:
        self.opened: list[asyncpg.Connection] = []
        self._settings = ConnectionSettings(database)
        self.session = Session(self._connect, Health(Metrics(version="test", wire="python")))

    async def _connect(self) -> asyncpg.Connection:
        self.opened.append(await connect(self._settings, purpose="session"))
        return self.opened[-1]


@pytest.fixture
async def sessions(database: str):
    one = Sessions(database)
    yield one
    await one.session.close()
    assert all(connection.is_closed() for connection in one.opened)


async def pid(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("SELECT pg_backend_pid()")


async def test_it_connects_when_it_is_needed_and_keeps_the_connection(sessions: Sessions) -> None:
    assert sessions.opened == []
    assert await sessions.session.run(pid) == await sessions.session.run(pid)
    assert len(sessions.opened) == 1


@pytest.mark.parametrize("statement", ["SELECT 1/0", "SELECT pg_terminate_backend(pg_backend_pid())"])
async def test_after_trouble_it_takes_a_new_connection(sessions: Sessions, statement: str) -> None:
    first = await sessions.session.run(pid)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await sessions.session.run(lambda connection: connection.execute(statement))
    assert sessions.opened[0].is_closed()
    assert await sessions.session.run(pid) != first


async def test_a_connection_that_broke_while_nobody_used_it_is_replaced(
    sessions: Sessions, connection: asyncpg.Connection
) -> None:
    first = await sessions.session.run(pid)
    await connection.execute("SELECT pg_terminate_backend($1)", first)
    while not sessions.opened[0].is_closed():
        await asyncio.sleep(0.001)
    assert await sessions.session.run(pid) != first


async def test_who_is_cancelled_in_the_middle_leaves_the_connection_to_nobody(sessions: Sessions) -> None:
    started = asyncio.Event()

    async def work(mine: asyncpg.Connection) -> None:
        started.set()
        await mine.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(sessions.session.run(work))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sessions.opened[0].is_closed()
    assert await sessions.session.run(pid)


async def test_claimed_numbers_are_nobody_elses(sessions: Sessions, database: str) -> None:
    other = Sessions(database)
    claims = [await one.session.claim_batch_numbers(64) for one in (sessions, other, sessions)]
    await other.session.close()
    assert [len(claim) for claim in claims] == [64] * 3
    assert len({number for claim in claims for number in claim}) == 192


async def test_it_can_be_closed_without_having_been_used(database: str) -> None:
    await Sessions(database).session.close()


async def test_the_password_is_read_from_its_file_for_each_connection(database: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = ConnectionSettings(database, password_file=file)
    with pytest.raises(FileNotFoundError):
        await connect(settings, purpose="test")
    file.write_text("it changes\n")
    connection = await connect(settings, purpose="test")  # the server of the tests takes any password
    file.unlink()
    with pytest.raises(FileNotFoundError):
        await connect(settings, purpose="test")
    await connection.close()
