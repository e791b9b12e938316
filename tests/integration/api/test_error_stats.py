from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from stored_lines import store, store_random_lines

from logstreamd.query.http_status import MAY_BE_BAD_SQL, STATUS_SQL

EVERYTHING = {"start": "2026-11-01T00:00:00Z"}
NCSA = '203.0.113.9 - frank [22/Nov/2026:02:00:00 +0000] "GET /a.gif HTTP/1.1" {} 2326'


async def ask(api: Any, path: str = "/api/v1/errors/stats", **parameters: str) -> dict[str, Any]:
    status, answer, _ = await api.get(path, **(EVERYTHING | parameters if "window" not in parameters else parameters))
    assert status == 200, answer
    return answer


def line(message: str, *, level: int = 6, service: str = "web", second: int = 0, minute: int = 0) -> str:
    return f"<{8 + level}>1 2026-11-22T02:{minute:02}:{second:02}Z web-1 {service} - - - {message}"


def document(**fields: Any) -> str:
    return json.dumps({"message": "m", "timestamp": "2026-11-22T02:00:00Z", "level": "info", **fields})


async def types_of(api: Any, connection: asyncpg.Connection, lines: list[str]) -> list[str | None]:
    """Store lines and return what each is counted as, None for no error."""
    await store(connection, *lines)
    answer = await ask(api, limit="100")
    found = {log["id"] % 65_536: log["error_type"] for log in answer["recent_errors"]}
    assert Counter(found.values()) == answer["error_types"]
    return [found.get(position) for position in range(len(lines))]


TEXTS = {
    # Common and combined format (Apache, nginx), with what stands before and behind it in the wild.
    NCSA.format(404): 404,
    NCSA.format(200): None,
    '203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "POST /login HTTP/2.0" 403 153 "https://ex.org/" "curl/8"': 403,
    'ex.org:443 203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "GET / HTTP/1.1" 502 552 "-" "curl/8" 0.004 0.004': 502,
    '203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "-" 408 - "-" "-"': 408,
    '203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "\\x16\\x03\\x01\\x02" 400 157 "-" "-"': 400,
    '203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "GET /\\"quoted\\" HTTP/1.1" 499 0 "-" "-"': 499,
    '203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "GET /?status=500 HTTP/1.1" 200 12 "-" "-"': None,
    '203.0.113.9 - - [22/Nov/2026:02:00:00 +0000] "GET /404 HTTP/1.1" 301 500 "http://ex.org/?status=404" "-"': None,
    # Servers of applications
    'INFO:     127.0.0.1:52788 - "GET /items/5 HTTP/1.1" 404 Not Found': 404,
    '127.0.0.1 - - [22/Nov/2026 02:00:00] "GET /favicon.ico HTTP/1.1" 404 -': 404,
    'Started "GET /x HTTP/1.1" 500': 500,
    # In the text
    "status=404": 404,
    "status: 503.": 503,
    'upstream_status="502" upstream=10.0.0.7': 502,
    "{'method': 'GET', 'status': 500}": 500,
    '{"path": "/x", "status_code":429, "ms": 3}': 429,
    "http_status=401 user=-": 401,
    "HTTP Status Code: 418": 418,
    "Request failed with status code 404": 404,
    "AxiosError: Request failed with status code 500": 500,
    "upstream answered HTTP/1.1 503 Service Unavailable": 503,
    "retry 2: HTTP 429 from api.example.org": 429,
    "RESPONSE STATUS = 404": 404,
    "Status: pending, then status: 500": 500,
    "HTTP/2 from HTTP 503": 503,
    # Not a status
    "status=4040": None,
    "status=404.5": None,
    "status=40": None,
    "statuses: 404": None,
    "took 404 ms": None,
    "exit status 127": None,
    "order 500 shipped, status=ok": None,
    'said "no" 404 times': None,
    "port 5000, HTTP/1.1 5000": None,
}
FIELDS: list[tuple[dict[str, Any], int | None]] = [
    ({"status": 404}, 404),
    ({"status": "404"}, 404),
    ({"status": "503 Service Unavailable"}, 503),
    ({"status": 404.0}, 404),
    ({"status": [200, 404]}, None),
    ({"status": ["404"]}, 404),
    ({"status": "ok, 404"}, 404),
    ({"response_code": 504}, 504),
    ({"response_code": "504", "n": 1}, 504),
    ({"status": 200}, None),
    ({"status": 4040}, None),
    ({"status": -404}, None),
    ({"status": 404.5}, None),
    ({"status": "failed", "status_code": 500}, 500),
    ({"statusCode": 429}, 429),
    ({"http_status": 401}, 401),
    ({"http": {"status_code": 503}}, 503),
    ({"http.status_code": 503}, 503),
    ({"http": {"response": {"status_code": 502}}}, 502),
    ({"response": {"status": 404}}, 404),
    ({"res": {"statusCode": 500}}, 500),
    ({"httpRequest": {"status": 403, "latency": "0.5s"}}, 403),
    ({"status": {"code": 404}}, None),
    ({"status": None}, None),
    ({"status": True}, None),
    ({"order": 404}, None),
    ({"status": 200, "message": "status=500"}, None),
    ({"status": "ok", "message": NCSA.format(404)}, 404),
]
# What patterns for a status are made of, and near misses.
_PIECES = [
    *"\" '=:|[],./_",
    "404",
    "500",
    "200",
    "4",
    "HTTP",
    "HTTP/1.1 ",
    "status",
    "STATUS",
    "Status_Code",
    " code",
    '" 404 -',
]
_FIELDS = (
    "status",
    "status_code",
    "statusCode",
    "StatusCode",
    "http_status",
    "response_code",
    "http.status",
    "response",
    "ms",
)


@pytest.mark.every_postgres
async def test_a_status_is_found_in_the_text(patient: Any, connection: asyncpg.Connection) -> None:
    types = await types_of(patient, connection, [line(text) for text in TEXTS])
    found = {text: name and int(name[:3]) for text, name in zip(TEXTS, types, strict=True)}
    assert found == TEXTS


@pytest.mark.every_postgres
async def test_a_status_is_found_in_the_fields(patient: Any, connection: asyncpg.Connection) -> None:
    structured = '<14>1 2026-11-22T02:00:00Z h web - - [web@1 status="404"][other@1 ms="5"] m'
    types = await types_of(patient, connection, [*(document(**fields) for fields, _ in FIELDS), structured])
    found = [name and int(name[:3]) for name in types]
    assert list(zip(found, [fields for fields, _ in FIELDS], strict=False)) == [(found, one) for one, found in FIELDS]
    assert found[-1] == 404


@pytest.mark.every_postgres
async def test_what_is_ruled_out_at_first_has_no_bad_status(connection: asyncpg.Connection) -> None:
    random = Random(5)

    def text() -> str:
        return "".join(random.choices(_PIECES, k=random.randint(1, 6)))

    def value() -> Any:
        return random.choice((404, 500.0, 200, text(), [404, "500"], [text()], {"status": 404}, {"x": text()}, None))

    messages = [text() for _ in range(20_000)]
    fields = [json.dumps({random.choice(_FIELDS): value() for _ in range(2)}) for _ in messages]
    found = await connection.fetchrow(
        f"""
        SELECT count(*) FILTER (WHERE status >= 400) AS bad, count(*) FILTER (WHERE NOT may_be_bad) AS ruled_out,
               array_agg(message || attrs::text) FILTER (WHERE status >= 400 AND NOT may_be_bad) AS missed
        FROM (SELECT message, attrs, {STATUS_SQL} AS status, coalesce({MAY_BE_BAD_SQL}, false) AS may_be_bad
              FROM unnest($1::text[], $2::text[]::jsonb[]) AS logs (message, attrs)) AS looked_at
        """,
        messages,
        fields,
    )
    assert found["missed"] is None
    assert found["bad"] > 1_000 and found["ruled_out"] > 1_000


async def test_errors_are_the_bad_levels_and_the_bad_statuses(patient: Any, connection: asyncpg.Connection) -> None:
    types = await types_of(
        patient,
        connection,
        [
            line("boom", level=3),
            line("worse", level=0),
            line("only a warning", level=4),
            line("status=500", level=3),
            line("status=500", level=7),
            line("status=200", level=2),
        ],
    )
    without = "WITHOUT_STATUS"
    assert types == [without, without, None, "500_INTERNAL_ERROR", "500_INTERNAL_ERROR", without]


async def test_the_stats_are_found_on_both_paths(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, line("status=404"), line("boom", level=3, second=1))
    for path in ("/errors/stats", "/api/v1/errors/stats"):
        answer = await ask(patient, path)
        assert answer["total_errors"] == 2
        assert answer["error_types"] == {"404_NOT_FOUND": 1, "WITHOUT_STATUS": 1}
        assert [log["message"] for log in answer["recent_errors"]] == ["boom", "status=404"]
        assert answer["recent_errors"][1] == {
            "id": 65_536,
            "ts": "2026-11-22T02:00:00Z",
            "received_at": "2026-11-22T03:00:00Z",
            "level": "info",
            "severity": 6,
            "facility": 1,
            "host": "web-1",
            "service": "web",
            "proc_id": None,
            "msg_id": None,
            "trace_id": None,
            "message": "status=404",
            "attrs": {},
            "input": "tcp",
            "peer": "192.0.2.7",
            "error_type": "404_NOT_FOUND",
        }


async def test_without_errors_everything_is_zero(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, line("fine"))
    answer = await ask(patient, step="1m", start="2026-11-22T02:00:00Z", end="2026-11-22T02:02:00Z")
    assert (answer["total_errors"], answer["error_types"], answer["by_service"], answer["recent_errors"]) == (
        0,
        {},
        [],
        [],
    )
    assert answer["points"] == [["2026-11-22T02:00:00Z", 0], ["2026-11-22T02:01:00Z", 0]]
    assert answer["start"] == "2026-11-22T02:00:00Z"


async def test_errors_by_service_and_step(patient: Any, connection: asyncpg.Connection) -> None:
    await store(
        connection,
        *(line("boom", level=3, service="db", minute=minute) for minute in (0, 0, 2)),
        line("status=500", service="web", minute=2),
        '{"message": "boom", "level": "error", "timestamp": "2026-11-22T02:02:59.999999Z"}',
        line("boom", level=3, minute=3),
    )
    answer = await ask(patient, step="1m", start="2026-11-22T02:00:00Z", end="2026-11-22T02:03:00Z")
    assert answer["by_service"] == [
        {"service": "db", "errors": 3},
        {"service": "web", "errors": 1},
        {"service": None, "errors": 1},
    ]
    assert [errors for _, errors in answer["points"]] == [2, 0, 3]
    assert answer["total_errors"] == 5
    assert (await ask(patient, service="db", q="boom", min_level="error"))["total_errors"] == 3


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_the_recent_errors_are_the_newest(patient: Any, connection: asyncpg.Connection, limit: int) -> None:
    await store_random_lines(connection, Random(limit))
    for step in ({}, {"step": "1h"}, {"step": "1m"}):
        answer = await ask(patient, limit=str(limit), start="2026-11-21T20:30:00Z", **step)
        newest = await connection.fetch(
            "SELECT id FROM logs WHERE severity <= 3 ORDER BY ts DESC, id DESC LIMIT $1", limit
        )
        assert [log["id"] for log in answer["recent_errors"]] == [row["id"] for row in newest]
        assert answer["total_errors"] == await connection.fetchval("SELECT count(*) FROM logs WHERE severity <= 3")
        assert sum(one["errors"] for one in answer["by_service"]) == answer["total_errors"]


async def test_a_window_ends_now_or_where_it_is_told_to(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *(line("boom", level=3, minute=minute) for minute in range(10)))
    answer = await ask(patient, window="5m", end="2026-11-22T02:08:00Z")
    assert (answer["total_errors"], answer["start"]) == (5, "2026-11-22T02:03:00Z")
    now = await ask(patient, window="1m", step="1s")
    start = datetime.fromisoformat(now["start"])
    assert len(now["points"]) in (60, 61)
    assert timedelta(0) <= start - datetime.fromisoformat(now["points"][0][0]) < timedelta(seconds=1)


async def test_no_more_services_than_the_cap(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *(line("boom", level=3, service=f"s{number:03}") for number in range(103)))
    answer = await ask(patient)
    assert [one["service"] for one in answer["by_service"]] == [f"s{number:03}" for number in range(100)]
    assert answer["total_errors"] == 103


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"window": "0m"}, "window"),
        ({"window": "1h", "start": "-2h"}, "window"),
        ({"window": "2000d"}, "window"),
        ({"step": "1ms"}, "step"),
        ({"step": "1s", "window": "1d"}, "step"),
        ({"limit": "101"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"by": "service"}, "by"),
        ({"q": "status:"}, "q"),
    ],
)
async def test_what_can_not_be_answered_is_refused_by_name(
    patient: Any, parameters: dict[str, str], field: str
) -> None:
    status, answer, _ = await patient.get("/errors/stats", **parameters)
    assert (status, answer["error"]["field"]) == (400, field)
