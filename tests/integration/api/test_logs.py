from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import yarl
from batches import batch_of, encoded

from logstreamd.query.database import Database
from logstreamd.query.search import LogReader
from logstreamd.storage import connections as connections_module
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.storage.store import store_batch

SPOOL = UUID(int=7)


async def store(connection: asyncpg.Connection, *messages: str | bytes, number: int = 1) -> None:
    batch = batch_of(messages)
    await store_batch(connection, batch, encoded(batch, number), spool_id=SPOOL, seq=number)


async def found(api: Any, **parameters: str) -> list[str]:
    status, answer, _ = await api.get("/api/v1/logs", **parameters)
    assert status == 200, answer
    return [log["message"] for log in answer["logs"]]


def syslog(message: str, *, level: int = 6, service: str = "api", host: str = "web-1", second: int = 0) -> str:
    return f"<{8 + level}>1 2026-11-22T02:00:{second:02}Z {host} {service} - - - {message}"


async def test_a_row_is_shown_with_every_field(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(
        connection,
        '<163>1 2026-11-22T02:59:59.25Z web-1 checkout 814 ID47 [ex@1 user="Müller"] paid 5 €',
        '{"message": "m", "trace_id": "t-1", "timestamp": "2026-11-22T02:59:00Z", "n": 12345678901234567890.5}',
    )
    status, answer, _ = await searchable.get("/api/v1/logs")
    assert status == 200
    assert answer["took_ms"] >= 0
    assert answer["next_cursor"] is None
    first, second = answer["logs"]
    assert first == {
        "id": 65_536,
        "ts": "2026-11-22T02:59:59.250000Z",
        "received_at": "2026-11-22T03:00:00Z",
        "level": "error",
        "severity": 3,
        "facility": 20,
        "host": "web-1",
        "service": "checkout",
        "proc_id": "814",
        "msg_id": "ID47",
        "trace_id": None,
        "message": "paid 5 €",
        "attrs": {"ex@1": {"user": "Müller"}},
        "input": "tcp",
        "peer": "192.0.2.7",
    }
    assert (second["trace_id"], second["peer"], second["level"]) == ("t-1", "192.0.2.7", "notice")


async def test_a_row_without_attributes_has_empty_ones(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(connection, "plain")
    _, answer, _ = await searchable.get("/api/v1/logs")
    assert answer["logs"][0]["attrs"] == {}


async def test_every_parameter_restricts(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(
        connection,
        syslog("early", second=1),
        syslog("late", second=30),
        syslog("worse", level=3, second=10),
        syslog("other service", service="db", second=11),
        syslog("other host", host="web-2", second=12),
        '{"message": "traced", "trace_id": "abc", "timestamp": "2026-11-22T02:00:13Z"}',
    )
    assert await found(searchable, start="2026-11-22T02:00:30Z") == ["late"]
    assert await found(searchable, end="2026-11-22T02:00:10Z") == ["early"]
    assert await found(searchable, level="error") == ["worse"]
    assert await found(searchable, min_level="notice") == ["traced", "worse"]
    assert await found(searchable, service="db") == ["other service"]
    assert await found(searchable, host="web-2,web-3") == ["other host"]
    assert await found(searchable, trace_id="abc") == ["traced"]
    assert await found(searchable, q="other") == ["other host", "other service"]
    assert await found(searchable, q="other HOST") == ["other host"]
    assert await found(searchable, q="oth") == []
    assert await found(searchable, q="oth*", service="db") == ["other service"]
    assert await found(searchable, q="level>=error OR trace_id:*") == ["traced", "worse"]
    assert await found(searchable, order="asc", limit="2") == ["early", "worse"]
    assert await found(searchable, level="info", min_level="error") == []


@pytest.mark.every_postgres
async def test_words_are_found_in_any_case_of_any_script(searchable: Any, connection: asyncpg.Connection) -> None:
    pairs = {"äpfel": "ÄPFEL und Birnen", "ПРИВЕТ": "привет", "ΣΊΣΥΦΟΣ": "σίσυφοσ", "ERROR": "an Error here"}
    await store(connection, *pairs.values())
    assert {word: await found(searchable, q=word) for word in pairs} == {word: [pairs[word]] for word in pairs}


async def test_specials_of_like_mean_themselves(searchable: Any, connection: asyncpg.Connection) -> None:
    specials = ["%", "_", "\\", "100%", "a_b", "C:\\new", "%%", "\\%", "\\\\"]
    await store(connection, *(f"|{special}|" for special in specials), "has x, axb, 100x and C:new in it")
    for special in specials:
        assert await found(searchable, q=f"|{special}|") == [f"|{special}|"]


async def test_a_bad_filter_is_refused_and_the_column_named(searchable: Any) -> None:
    status, answer, _ = await searchable.get("/api/v1/logs", q="timeout service:")
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "bad_filter", "q")
    assert answer["error"]["message"] == "q:17: expected a value after 'service:' (got end)"


async def test_tags_are_parameters_of_their_own(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(
        connection,
        '{"message": "one", "tags": {"env": "prod", "zone": "a"}}',
        '{"message": "two", "tags": {"env": "test", "zone": "a"}}',
    )
    parameters = {"tag.env": "prod,staging", "tag.zone": "a"}
    assert await found(searchable, **parameters) == ["one"]


ATTACKS = ["'; DROP TABLE logs; --", "' OR '1'='1", "$1", "{}", "\\'; --", "1); SELECT pg_sleep(9); --", "\x1a", "%27"]


async def test_sql_in_any_parameter_is_a_text_or_a_refusal(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(connection, "harmless")
    for attack in ATTACKS:
        for field in ("service", "host", "trace_id", "tag.env"):
            assert await found(searchable, **{field: attack}) == []
        status, answer, _ = await searchable.get("/api/v1/logs", q=attack)
        assert answer.get("logs") == [] if status == 200 else answer["error"]["code"] == "bad_filter"
        for field in ("start", "end", "level", "min_level", "limit", "order", "cursor", attack):
            status, answer, _ = await searchable.get("/api/v1/logs", **{field: attack})
            assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "bad_parameter", field)
    assert await found(searchable) == ["harmless"]


async def test_bytes_that_are_no_text_do_no_harm(searchable: Any) -> None:
    for query in ("q=%ff", "q=%ed%a0%80", "service=%c0%80", "q=%F0%9F%92%A9"):
        url = yarl.URL(f"{searchable.url}/api/v1/logs?{query}", encoded=True)
        async with searchable.client.get(url) as answer:
            assert answer.status in (200, 400)


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_pages_have_no_gaps_and_no_row_twice_while_new_ones_arrive(
    searchable: Any, connection: asyncpg.Connection, order: str
) -> None:
    # Many rows share a time, so the id decides.
    await store(connection, *(syslog(f"old {number}", second=number % 3) for number in range(40)))
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for page in range(100):
        _, answer, _ = await searchable.get("/api/v1/logs", order=order, limit="7", **cursor)
        seen += answer["logs"]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
        if page < 3:
            await store(connection, syslog(f"new {page}", second=59), syslog(f"early {page}"), number=page + 2)
    old = [log["message"] for log in seen if log["message"].startswith("old")]
    assert sorted(old) == sorted(f"old {number}" for number in range(40))
    assert len({log["id"] for log in seen}) == len(seen)
    keys = [(log["ts"], log["id"]) for log in seen]
    assert keys == sorted(keys, reverse=order == "desc")


async def test_a_page_that_is_exactly_full_is_the_last(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *(f"{number}" for number in range(7)))
    assert (await searchable.get("/api/v1/logs", limit="7"))[1]["next_cursor"] is None
    assert (await searchable.get("/api/v1/logs", limit="6"))[1]["next_cursor"] is not None


async def test_an_answer_has_no_more_rows_than_the_cap(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *(f"{number}" for number in range(60)))
    assert len(await found(searchable)) == 50
    status, answer, _ = await searchable.get("/api/v1/logs", limit="51")
    assert (status, answer["error"]["field"]) == (400, "limit")
    assert answer["error"]["message"] == "limit: must be a whole number 1..50 (got '51')"


async def make_slow(connection: asyncpg.Connection) -> None:
    """Let every look at the table take its time."""
    await store(connection, "a row to look at", number=99)
    await connection.execute("""
        ALTER TABLE logs RENAME TO logs_behind;
        CREATE VIEW logs AS SELECT logs_behind.* FROM logs_behind, pg_sleep(60);
    """)


async def running_queries(connection: asyncpg.Connection) -> int:
    return await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'logstreamd query' AND state <> 'idle'"
    )


async def test_a_query_that_takes_too_long_is_ended_and_nothing_of_it_is_left(
    searchable: Any, connection: asyncpg.Connection
) -> None:
    await make_slow(connection)
    status, answer, _ = await searchable.get("/api/v1/logs")
    assert (status, answer["error"]["code"]) == (504, "query_timeout")
    assert await running_queries(connection) == 0


async def test_a_table_that_is_locked_is_not_waited_for(searchable: Any, connection: asyncpg.Connection) -> None:
    await store(connection, "a row to look at")
    async with connection.transaction():
        await connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        assert (await searchable.get("/api/v1/logs"))[0] == 504
    assert (await searchable.get("/api/v1/logs"))[0] == 200


async def test_a_client_that_goes_away_takes_its_query_along(
    start_api: Callable[..., Any], database: str, connection: asyncpg.Connection
) -> None:
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=60), max_size=1)
    api = await start_api(LogReader(Database(pool, max_concurrent=1)))
    await make_slow(connection)
    asking = asyncio.create_task(api.get("/api/v1/logs"))
    while not await running_queries(connection):
        await asyncio.sleep(0.001)
    status, answer, headers = await api.get("/api/v1/logs")
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (429, "too_many_queries", "1")
    asking.cancel()
    while await running_queries(connection):
        await asyncio.sleep(0.001)
    await connection.execute("DROP VIEW logs; ALTER TABLE logs_behind RENAME TO logs")
    while (await api.get("/api/v1/logs"))[0] == 429:  # its place is free, too
        await asyncio.sleep(0.001)
    assert (await api.get("/api/v1/logs"))[0] == 200
    await pool.close()


async def test_a_query_that_gets_no_connection_in_time_is_answered_with_503(
    start_api: Callable[..., Any], database: str
) -> None:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=1)
    api = await start_api(LogReader(Database(pool, max_concurrent=1, pool_timeout_seconds=0.1)))
    async with pool.acquire():
        status, answer, headers = await api.get("/api/v1/logs")
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (503, "database_unavailable", "1")
    assert (await api.get("/api/v1/logs"))[0] == 200
    await pool.close()


async def test_a_query_whose_server_falls_silent_ends_and_the_next_one_is_answered(
    start_api: Callable[..., Any], database: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "_ANSWER_MARGIN_SECONDS", 0.2)
    pool = await create_reader_pool(ConnectionSettings(database, statement_timeout_seconds=0.3), max_size=1)
    api = await start_api(LogReader(Database(pool, max_concurrent=1)))
    assert (await api.get("/api/v1/logs"))[0] == 200
    silent = await connection.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'logstreamd query'"
    )
    os.kill(silent, signal.SIGSTOP)
    try:
        assert (await api.get("/api/v1/logs"))[0] == 503
        assert (await api.get("/api/v1/logs"))[0] == 200
    finally:
        os.kill(silent, signal.SIGCONT)
    await pool.close()


async def test_as_many_queries_as_allowed_run_at_once(
    start_api: Callable[..., Any], pool: asyncpg.Pool, connection: asyncpg.Connection
) -> None:
    api = await start_api(LogReader(Database(pool, max_concurrent=3)))
    await make_slow(connection)
    statuses = [status for status, _, _ in await asyncio.gather(*(api.get("/api/v1/logs") for _ in range(5)))]
    assert sorted(statuses) == [429, 429, 504, 504, 504]


async def test_without_a_database_it_says_so(start_api: Callable[..., Any], tmp_path: Any) -> None:
    pool = await create_reader_pool(ConnectionSettings(f"postgresql:///x?host={tmp_path}&user=x"), max_size=1)
    api = await start_api(LogReader(Database(pool, max_concurrent=1)))
    status, answer, headers = await api.get("/api/v1/logs")
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (503, "database_unavailable", "1")
    assert str(tmp_path) not in answer["error"]["message"]
    await pool.close()


async def test_after_the_database_was_away_it_answers_again(searchable: Any, connection: asyncpg.Connection) -> None:
    assert await found(searchable) == []
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'logstreamd query'"
    )
    statuses = [(await searchable.get("/api/v1/logs"))[0] for _ in range(3)]
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}


async def test_a_query_can_not_write(database: str, pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await pool.execute("DELETE FROM logs")


async def test_relative_times_are_relative_to_now(searchable: Any, database: str) -> None:
    writer = await connect(ConnectionSettings(database), purpose="test")
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    batch = batch_of(["just now"])
    batch.received_at[0] = now
    await store_batch(writer, batch, encoded(batch), spool_id=SPOOL, seq=1)
    await writer.close()
    assert await found(searchable, start="-5m") == ["just now"]
    assert await found(searchable, start="-10m", end="-5m") == []
