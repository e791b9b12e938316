from __future__ import annotations

import json
from random import Random
from typing import Any

import asyncpg
import pytest
from stored_lines import store, store_random_lines

from logstreamd.query import fields as fields_module

COLUMNS = (
    "level",
    "service",
    "host",
    "message",
    "trace_id",
    "proc_id",
    "msg_id",
    "facility",
    "input",
    "format",
    "peer",
)


def document(**fields: Any) -> str:
    return json.dumps({"message": "m", "timestamp": "2026-11-22T02:00:00Z", **fields})


async def ask(api: Any, path: str = "/api/v1/fields", **parameters: str) -> dict[str, Any]:
    status, answer, _ = await api.get(path, **parameters)
    assert status == 200, answer
    return answer


async def values(api: Any, name: str, **parameters: str) -> dict[str, int]:
    answer = await ask(api, f"/api/v1/fields/{name}/values", **parameters)
    return {one["value"]: one["count"] for one in answer["values"]}


async def test_the_fields_are_the_columns_and_what_recent_lines_have(
    patient: Any, connection: asyncpg.Connection
) -> None:
    await store(
        connection,
        document(user_id=42, http={"status": 200}, tags={"env": "prod"}, a={"b": {"c": {"d": {"e": 1}}}}),
        document(user_id="42", zones=["a"], tags=["x"], **{"odd name": None, "ok": True}),
        "plain",
    )
    answer = await ask(patient)
    columns, rest = answer["fields"][: len(COLUMNS)], answer["fields"][len(COLUMNS) :]
    assert columns == [{"name": name, "types": ["string"], "rows": None} for name in COLUMNS]
    assert rest[0] == {"name": "attrs.user_id", "types": ["number", "string"], "rows": 2}
    found = {one["name"]: (one["types"], one["rows"]) for one in rest[1:]}
    assert found == {
        "attrs.http.status": (["number"], 1),
        "tag.env": (["string"], 1),
        "attrs.tags": (["array"], 1),
        "attrs.zones": (["array"], 1),
        'attrs."odd name"': (["null"], 1),
        "attrs.ok": (["boolean"], 1),
    }
    assert answer["sampled_rows"] == 3


async def test_every_field_that_is_listed_has_values(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, document(user_id=42, tags={"env": "prod"}, service="s", host="h", **{"a.b": 1, 'x"y': 2}))
    answer = await ask(patient)
    for field in answer["fields"]:
        if field["name"] not in ("message", "facility", "trace_id", "proc_id", "msg_id"):
            assert len(await values(patient, field["name"])) == 1, field


async def test_only_lines_of_the_scope_are_looked_at(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, document(service="a", one=1), document(service="b", two=2))
    assert [one["name"] for one in (await ask(patient, service="b"))["fields"][len(COLUMNS) :]] == ["attrs.two"]
    assert (await ask(patient, end="2026-11-22T01:00:00Z"))["sampled_rows"] == 0


async def test_the_sample_is_bounded_and_of_the_newest(
    patient: Any, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields_module, "_SAMPLE_ROWS", 2)
    monkeypatch.setattr(fields_module, "_MAX_NAMES", 3)
    await store(connection, *(document(**{f"n{number}": 1}) for number in range(5)))
    assert [one["name"] for one in (await ask(patient))["fields"][len(COLUMNS) :]] == ["attrs.n4", "attrs.n3"]
    await store(connection, document(**{f"n{number}": 1 for number in range(5)}), number=2)
    assert len((await ask(patient))["fields"]) == len(COLUMNS) + 3


async def test_values_come_with_their_numbers(patient: Any, connection: asyncpg.Connection) -> None:
    await store_random_lines(connection, Random(5))
    for name in ("service", "host", "attrs->'tags'->>'env'", "attrs->>'user'"):
        rows = await connection.fetch(f"SELECT {name} AS value, count(*) AS rows FROM logs GROUP BY 1")
        expected = {row["value"]: row["rows"] for row in rows if row["value"] is not None}
        asked = {"attrs->'tags'->>'env'": "tag.env", "attrs->>'user'": "attrs.user"}.get(name, name)
        assert await values(patient, asked) == expected
    assert len(await values(patient, "level")) == 8
    one = await values(patient, "service", min_level="error", host="web-1")
    assert sum(one.values()) == await connection.fetchval(
        "SELECT count(*) FROM logs WHERE severity <= 3 AND host = 'web-1' AND service IS NOT NULL"
    )


async def test_the_most_frequent_values_come_first(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *(document(service=f"s{number}") for number in range(4) for _ in range(number + 1)))
    for parameters, source in (({}, "counts"), ({"q": "m"}, "scan")):
        answer = await ask(patient, "/api/v1/fields/service/values", limit="2", **parameters)
        assert answer["values"] == [{"value": "s3", "count": 4}, {"value": "s2", "count": 3}]
        assert (answer["more"], answer["source"]) == (2, source)


async def test_values_by_their_beginning(patient: Any, connection: asyncpg.Connection) -> None:
    await store(
        connection,
        document(service="cart", host="web-1", level="error", user="Ada"),
        document(service="checkout", host="web-2", level="emergency", user="Bob"),
        document(service="mail", host="db-1", level="info", user="ann%"),
        document(level="info"),
    )
    assert await values(patient, "service", prefix="c") == {"cart": 1, "checkout": 1}
    assert await values(patient, "host", prefix="web-") == {"web-1": 1, "web-2": 1}
    assert await values(patient, "level", prefix="e") == {"error": 1, "emergency": 1}
    assert await values(patient, "attrs.user", prefix="a") == {"ann%": 1}
    assert await values(patient, "attrs.user", prefix="%") == {}
    assert await values(patient, "service", prefix="c", q="level:error") == {"cart": 1}


async def test_nothing_stored_has_no_values(patient: Any) -> None:
    assert await values(patient, "service") == {}
    assert await values(patient, "attrs.anything") == {}
    assert len((await ask(patient))["fields"]) == len(COLUMNS)


@pytest.mark.parametrize("name", ["message", "nonsense", "attrs.", "attrs", "attrs.a b", "'; DROP TABLE logs; --"])
async def test_what_is_no_field_has_no_values(patient: Any, name: str) -> None:
    status, answer, _ = await patient.get(f"/api/v1/fields/{name}/values")
    assert (status, answer["error"]["code"]) == (404, "unknown_field")


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        ("/api/v1/fields", {"limit": "3"}, "limit"),
        ("/api/v1/fields", {"start": "x"}, "start"),
        ("/api/v1/fields/service/values", {"limit": "1001"}, "limit"),
        ("/api/v1/fields/service/values", {"by": "x"}, "by"),
        ("/api/v1/fields/service/values", {"q": "("}, "q"),
    ],
)
async def test_bad_parameters_are_refused_by_name(
    patient: Any, path: str, parameters: dict[str, str], field: str
) -> None:
    status, answer, _ = await patient.get(path, **parameters)
    assert (status, answer["error"]["field"]) == (400, field)
