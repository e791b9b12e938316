"""What is stored while somebody follows: shown once, whatever order it is committed in."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from batches import batch_of, encoded

from logstreamd.metrics import Metrics
from logstreamd.query.database import Database
from logstreamd.query.errors import UnavailableError
from logstreamd.query.filter import parse_filter
from logstreamd.query.tail import (
    Feed,
    Follower,
    RecentBatches,
    Subscription,
    TooManyTailsError,
    parse_position,
)
from logstreamd.query.tail import feed as feed_module
from logstreamd.query.tail import (
    follower as follower_module,
)
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=7)
_EVENT = re.compile(r"(?:id: (.*)\n)?event: (.*)\ndata: (.*)\n\n")


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "_ROUND_SECONDS", 10)  # the machine may be busy with other tests
    monkeypatch.setattr(follower_module, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(follower_module, "_LEAST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(follower_module, "_MOST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(follower_module, "_TROUBLE_SECONDS", 0.02)


class Following:
    """A follower at work on a database."""

    def __init__(self, pool: asyncpg.Pool, max_clients: int) -> None:
        self.recent = RecentBatches()
        self.metrics = Metrics(version="test", wire="python")
        self.follower = Follower(
            Feed(Database(pool, max_concurrent=2)), self.recent, self.metrics, max_clients=max_clients
        )
        self.task = asyncio.create_task(self.follower.run())

    def skipped(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value("logstreamd_tail_skipped_rows_total", {"reason": reason}) or 0


@asynccontextmanager
async def following(database: str, *, max_clients: int = 8) -> AsyncIterator[Following]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=2, purpose="tail")
    one = Following(pool, max_clients)
    try:
        yield one
    finally:
        one.follower.close()
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)
        await pool.close()


@pytest.fixture
async def tails(database: str) -> AsyncIterator[Following]:
    async with following(database) as one:
        yield one


@pytest.fixture
async def connections(database: str) -> AsyncIterator[Callable[[], Any]]:
    opened: list[asyncpg.Connection] = []

    async def open_one() -> asyncpg.Connection:
        opened.append(await connect(ConnectionSettings(database), purpose="test"))
        return opened[-1]

    yield open_one
    for connection in opened:
        await connection.close()


async def store(connection: asyncpg.Connection, *messages: str | bytes, number: int = 1) -> None:
    batch = batch_of(messages)
    await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=number)


def events_in(text: bytes) -> list[tuple[str, str, Any]]:
    """Return the id, the kind and the data of each event."""
    return [(row_id, kind, json.loads(data)) for row_id, kind, data in _EVENT.findall(text.decode())]


class Reading:
    """What a client got so far."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.events: list[tuple[str, str, Any]] = []

    @property
    def messages(self) -> list[str]:
        return [data["message"] for _, kind, data in self.events if kind == "log"]

    @property
    def skipped(self) -> list[dict[str, int]]:
        return [data for _, kind, data in self.events if kind == "skipped"]

    async def until(self, there: Callable[[Reading], Any]) -> Reading:
        async with asyncio.timeout(20):
            while not there(self):
                self.events += events_in(await self._subscription.next())
        return self

    async def until_rows(self, count: int) -> list[str]:
        return (await self.until(lambda one: len(one.messages) >= count)).messages


async def test_new_rows_come_in_order_and_each_once(tails: Following, connection: asyncpg.Connection) -> None:
    await store(connection, "before", number=1)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        await store(connection, "first", "second", number=2)
        await store(connection, "third", number=3)
        assert await Reading(subscription).until_rows(3) == ["first", "second", "third"]


async def test_a_batch_that_is_committed_after_a_later_one_is_shown_after_it(
    tails: Following, connections: Callable[[], Any]
) -> None:
    slow, quick = await connections(), await connections()
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        reading = Reading(subscription)
        async with slow.transaction():
            await store(slow, "stored early, committed late", number=1)
            await store(quick, "committed at once", number=2)
            assert await reading.until_rows(1) == ["committed at once"]
        assert await reading.until_rows(2) == ["committed at once", "stored early, committed late"]


async def test_a_transaction_that_was_begun_before_the_client_came_is_shown_when_it_ends(
    tails: Following, connections: Callable[[], Any]
) -> None:
    slow = await connections()
    transaction = slow.transaction()
    await transaction.start()
    await store(slow, "late", number=1)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        await transaction.commit()
        assert await Reading(subscription).until_rows(1) == ["late"]


async def _store_and_wait(connection: asyncpg.Connection, number: int, chance: random.Random) -> None:
    """Store a batch in a transaction that stays open for a while; one in five is rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    await store(connection, f"{number} a", f"{number} b", number=number)
    await asyncio.sleep(chance.random() * 0.03)
    await (transaction.rollback() if number % 5 == 0 else transaction.commit())


@pytest.mark.parametrize("seed", range(3))
async def test_clients_that_come_and_go_miss_nothing_and_see_nothing_twice(
    tails: Following, connections: Callable[[], Any], seed: int
) -> None:
    chance = random.Random(seed)
    numbers = list(range(1, 61))
    chance.shuffle(numbers)
    seen: list[str] = []
    last_id = ""
    expected = sorted(f"{number} {row}" for number in numbers if number % 5 for row in "ab")

    async def write() -> None:
        connection = await connections()
        while numbers:
            await _store_and_wait(connection, numbers.pop(), chance)

    async with tails.follower.subscribe(parse_filter("")) as subscription:
        last_id = str(subscription.position)
        writers = [asyncio.create_task(write()) for _ in range(4)]
    async with asyncio.timeout(30):
        while len(seen) < len(expected):
            async with tails.follower.subscribe(parse_filter("")) as subscription:
                missed = await tails.follower.missed(parse_position(last_id), subscription)
                assert missed is not None
                events = events_in(b"".join(text for found in missed for _, text in found.events))
                if not events:
                    last_id = str(subscription.position)
                    events = events_in(await subscription.next())
                kept = events[: chance.randrange(1, 4)]  # the connection broke in the middle
                seen += [data["message"] for _, _, data in kept]
                last_id = kept[-1][0]
    await asyncio.gather(*writers)
    assert sorted(seen) == expected


async def test_what_the_writer_just_stored_need_not_be_read_back_and_looks_the_same(
    tails: Following, connection: asyncpg.Connection
) -> None:
    messages = (
        '<163>1 2026-11-22T02:59:59.25Z web-1 checkout 814 ID47 [ex@1 user="Müller"] paid 5 €',
        '{"message": "m", "trace_id": "t-1", "n": 12345678901234567890.5, "f": 0.1, "deep": {"list": [1, null, true]}}',
        "plain",
    )
    batch = batch_of(messages, peer="::ffff:192.0.2.9")
    remembered, forgotten = encoded(batch, 1), encoded(batch, 2)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        tails.recent.storing(remembered)
        assert tails.recent.bytes > 0
        for number, one in enumerate((remembered, forgotten), 1):
            await store_batch(connection, batch, one, spool_id=SPOOL, seq=number)
        tails.recent.stored()
        reading = Reading(subscription)
        await reading.until_rows(6)
    rows = [data for _, _, data in reading.events]
    assert [{**row, "id": 0} for row in rows[:3]] == [{**row, "id": 0} for row in rows[3:]]
    assert tails.recent.bytes == 0


async def test_a_row_in_quarantine_is_not_shown(tails: Following, connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE logs ADD CHECK (message NOT LIKE 'poison%')")
    batch = batch_of(["good", "poison", "better"])
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        tails.recent.storing(encoded(batch))
        await store_batch(connection, batch, encoded(batch), spool_id=SPOOL, seq=1)
        assert await Reading(subscription).until_rows(2) == ["good", "better"]


async def test_everybody_gets_what_their_filter_takes(tails: Following, connection: asyncpg.Connection) -> None:
    async with (
        tails.follower.subscribe(parse_filter("level>=error")) as errors,
        tails.follower.subscribe(parse_filter("service:shop timed")) as shop,
        tails.follower.subscribe(parse_filter("/pay.*out/ -shop")) as regex,
    ):
        await store(
            connection, "<11>1 - web-1 shop - - - payment timed out", "<14>1 - web-1 shop - - - timed", number=1
        )
        await store(connection, "<14>1 - web-1 billing - - - payment timed out", "<11>1 - - - - - - broken", number=2)
        assert await Reading(errors).until_rows(2) == ["payment timed out", "broken"]
        assert await Reading(shop).until_rows(2) == ["payment timed out", "timed"]
        assert await Reading(regex).until_rows(1) == ["payment timed out"]


async def test_blocks_that_were_merged_are_no_news(tails: Following, connection: asyncpg.Connection) -> None:
    await store(connection, "one", number=1)
    await store(connection, "two", number=2)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        async with connection.transaction():
            await connection.execute("UPDATE blocks SET last_id = 131072, row_count = 2 WHERE first_id = 65536")
            await connection.execute("DELETE FROM blocks WHERE first_id = 131072")
        await store(connection, "three", number=3)
        assert await Reading(subscription).until_rows(1) == ["three"]


async def test_rows_of_several_days_in_one_batch_come_once(tails: Following, connection: asyncpg.Connection) -> None:
    days = [f'{{"message": "{day}", "timestamp": "2026-11-{day}T12:00:00Z"}}' for day in (20, 21, 20, 22)]
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        await store(connection, *days, number=1)
        assert await Reading(subscription).until_rows(4) == ["20", "21", "20", "22"]


async def test_rows_that_there_was_no_time_to_look_at_are_told(
    tails: Following, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_ROUND_SECONDS", -1)
    async with (
        tails.follower.subscribe(parse_filter("")) as everything,
        tails.follower.subscribe(parse_filter("elsewhere")) as other,
    ):
        await store(connection, "a", "b", number=1)
        assert (await Reading(everything).until(lambda one: one.skipped)).skipped == [{"skipped": 0, "unread": 2}]
        await store(connection, "elsewhere", number=2)  # of the first batch its bloom filter knew enough
        assert (await Reading(other).until(lambda one: one.skipped)).skipped == [{"skipped": 0, "unread": 1}]
    assert tails.skipped("unread") == 4


async def test_no_more_rows_are_read_from_the_database_than_a_round_may(
    tails: Following, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_ROUND_ROWS", 3)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        async with connection.transaction():
            await store(connection, "old", number=1)
            await store(connection, *"abcde", number=2)
        reading = await Reading(subscription).until(lambda one: one.skipped)
        assert (reading.messages, reading.skipped) == (list("abc"), [{"skipped": 0, "unread": 3}])


async def test_after_a_long_pause_the_newest_blocks_are_shown(
    tails: Following, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_BLOCKS", 2)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        async with connection.transaction():
            for number in range(1, 6):
                await store(connection, f"batch {number}", number=number)
        reading = await Reading(subscription).until(lambda one: one.skipped)
        assert (reading.messages, reading.skipped) == (["batch 4", "batch 5"], [{"skipped": 0, "unread": 3}])


async def test_a_batch_there_was_no_room_for_is_told_and_not_read_back(
    tails: Following, connection: asyncpg.Connection
) -> None:
    tails.recent._max_bytes = 0
    batch = batch_of(["a", "b"])
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        tails.recent.storing(encoded(batch))
        await store_batch(connection, batch, encoded(batch), spool_id=SPOOL, seq=1)
        reading = await Reading(subscription).until(lambda one: one.skipped)
    assert (reading.messages, reading.skipped) == ([], [{"skipped": 0, "unread": 2}])


async def test_nothing_is_lost_when_a_connection_breaks(tails: Following, connection: asyncpg.Connection) -> None:
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        reading = Reading(subscription)
        for number in range(1, 11):
            await store(connection, f"{number}", number=number)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'logstreamd tail' AND datname = current_database()"
            )
        assert await reading.until_rows(10) == [f"{number}" for number in range(1, 11)]


async def test_without_a_database_nobody_is_let_in(
    tails: Following, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_ADMIT_SECONDS", 0.2)
    await connection.execute("ALTER TABLE blocks RENAME TO elsewhere")
    async with tails.follower.subscribe(parse_filter("")):  # the first only has to know where it begins
        with pytest.raises(UnavailableError, match="does not say"):
            async with tails.follower.subscribe(parse_filter("")):
                pass
        await connection.execute("ALTER TABLE elsewhere RENAME TO blocks")
        async with tails.follower.subscribe(parse_filter("")) as subscription:
            await store(connection, "again", number=1)
            assert await Reading(subscription).until_rows(1) == ["again"]


async def test_one_client_too_many_is_refused_and_its_place_is_free_again(database: str) -> None:
    async with following(database, max_clients=1) as tails:
        async with tails.follower.subscribe(parse_filter("")):
            with pytest.raises(TooManyTailsError, match="1 clients"):
                async with tails.follower.subscribe(parse_filter("")):
                    pass
        async with tails.follower.subscribe(parse_filter("")):
            assert tails.metrics.registry.get_sample_value("logstreamd_tail_clients") == 1


async def test_when_everybody_has_left_nothing_is_kept_and_nothing_asked(
    tails: Following, connection: asyncpg.Connection
) -> None:
    async with tails.follower.subscribe(parse_filter("")):
        tails.recent.storing(encoded(batch_of(["a"])))
    async with asyncio.timeout(20):
        while tails.recent.bytes:
            await asyncio.sleep(0.01)
    tails.recent.storing(encoded(batch_of(["a"])))
    assert (tails.follower.clients, tails.recent.bytes, tails.recent.take(1)) == (0, 0, None)
    assert tails.metrics.registry.get_sample_value("logstreamd_tail_clients") == 0


async def test_a_position_from_long_ago_can_not_be_resumed(tails: Following) -> None:
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        old = replace(subscription.position, at=subscription.position.at - int(follower_module.RESUME_SECONDS) - 1)
        assert await tails.follower.missed(old, subscription) is None


async def test_of_many_rows_that_were_missed_the_newest_batches_are_read(
    tails: Following, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_RESUME_ROWS", 3)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        then = subscription.position
        for number in range(1, 4):
            await store(connection, f"{number} a", f"{number} b", number=number)
        await Reading(subscription).until_rows(6)
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        missed = await tails.follower.missed(then, subscription)
        assert missed is not None
        shown = events_in(b"".join(text for found in missed for _, text in found.events))
        assert [data["message"] for _, _, data in shown] == ["3 a", "3 b"]
        assert sum(found.unread for found in missed) == 4


async def test_after_a_round_that_came_too_late_everybody_is_told(
    tails: Following, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        monkeypatch.setattr(follower_module, "RESUME_SECONDS", -1)
        await store(connection, "late", number=1)
        reading = await Reading(subscription).until(lambda one: one.messages)
        assert reading.skipped[0] == {"skipped": None, "unread": None}


async def test_a_daemon_that_stops_ends_streams_and_lets_nobody_in(tails: Following) -> None:
    async with tails.follower.subscribe(parse_filter("")) as subscription:
        tails.follower.close()
        assert await subscription.next() == b""
        assert subscription.closed
    with pytest.raises(UnavailableError, match="stops"):
        async with tails.follower.subscribe(parse_filter("")):
            pass
