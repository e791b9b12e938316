from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from stored_lines import count_rows, random_time, store, store_random_lines

from logstreamd.query import counts as counts_module
from logstreamd.query.counts import parse_counts

FIELDS = ("service", "level", "host", "tag.env")
FILTERS = (
    {},
    {"level": "error"},
    {"min_level": "warning", "service": "api,db"},
    {"q": "service!=web level>=notice"},
    {"q": "service:/^(api|web)$/ OR level:debug"},
    {"q": "-service:*"},
    {"q": "timeout"},
    {"host": "web-1", "min_level": "info"},
    {"q": "attrs.user:1 -retry"},
    {"tag.env": "prod"},
)
STEPS = (None, "1m", "5m", "1h", "1d", "90s", "30s", "7m")
COUNTED_FILTERS = FILTERS[:6]


async def ask(api: Any, path: str = "/api/v1/counts", **parameters: str) -> dict[str, Any]:
    status, answer, _ = await api.get(path, **parameters)
    assert status == 200, answer
    return answer


async def refusal(api: Any, path: str = "/api/v1/counts", **parameters: str) -> tuple[int, str, str]:
    status, answer, _ = await api.get(path, **parameters)
    return status, answer["error"]["field"], answer["error"]["message"]


def line(time: str, *, level: int = 6, service: str = "api", message: str = "m") -> str:
    return f"<{8 + level}>1 {time} web-1 {service} - - - {message}"


def random_question(random: Random) -> dict[str, str]:
    question = dict(random.choice(FILTERS))
    by = random.sample(FIELDS, k=random.randrange(3))
    if by:
        question["by"] = ",".join(by)
    if step := random.choice(STEPS):
        question["step"] = step
    start, end = sorted((random_time(random), random_time(random)))
    if random.random() < 0.7:
        question["start"] = start.isoformat()
    if random.random() < 0.7:
        question["end"] = (end + timedelta(microseconds=1)).isoformat()
    return question


def cells(answer: dict[str, Any], by: list[str]) -> Counter[tuple[Any, ...]]:
    """Turn an answer into rows by label values and step."""
    found: Counter[tuple[Any, ...]] = Counter()
    for series in answer["series"]:
        assert list(series["labels"]) == by
        key = tuple(series["labels"].values())
        if series["points"]:
            assert series["total"] == sum(rows for _, rows in series["points"])
            found.update({(*key, datetime.fromisoformat(ts)): rows for ts, rows in series["points"]})
        else:
            found[*key, None] += series["total"]
    return +found


@pytest.mark.parametrize("seed", range(6))
async def test_every_answer_is_what_counting_the_rows_gives(
    patient: Any, connection: asyncpg.Connection, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    if seed % 2:
        monkeypatch.setattr(counts_module, "_FEW_ROWS", 0)  # whatever is not counted already is read from end to end
    await store_random_lines(connection, random)
    for _ in range(30):
        question = random_question(random)
        asked = parse_counts(question.items(), now=datetime.now(UTC))
        by = [label.name for label in asked.by]
        answer = await ask(patient, **question)
        rows = await count_rows(
            connection, start=asked.scope.start, end=asked.scope.end, tree=asked.scope.filter, step=asked.step
        )
        expected: Counter[tuple[Any, ...]] = Counter()
        for values, count in rows.items():
            fields = dict(zip(FIELDS, values[:-1], strict=True))
            expected[*(fields[name] for name in by), values[-1]] += count
        assert cells(answer, by) == expected, question


@pytest.mark.parametrize("step", ["1m", "1h", None])
async def test_service_and_level_are_answered_from_the_exact_counts(
    patient: Any, connection: asyncpg.Connection, step: str | None
) -> None:
    await store_random_lines(connection, Random(1), batches=1)
    steps = {"step": step} if step else {}
    for question in COUNTED_FILTERS:
        assert (await ask(patient, by="service,level", **question, **steps))["source"] == "counts"
    assert (await ask(patient, by="host", **steps))["source"] == "scan"
    assert (await ask(patient, q="timeout", **steps))["source"] == "scan"
    assert (await ask(patient, step="30s"))["source"] == "scan"
    assert (await ask(patient, step="90s"))["source"] == "scan"


async def test_the_counts_are_asked_and_not_the_rows(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *(line(f"2026-11-22T02:0{minute}:30Z") for minute in range(5)))
    await connection.execute("DELETE FROM logs WHERE ts BETWEEN '2026-11-22T02:01Z' AND '2026-11-22T02:03Z'")
    assert (await ask(patient))["series"][0]["total"] == 5
    # Of the minutes that the range cuts the rows are counted.
    cut = await ask(patient, start="2026-11-22T02:01:10Z", end="2026-11-22T02:03:50Z", step="1m")
    assert [rows for _, rows in cut["series"][0]["points"]] == [0, 1, 1]


async def test_the_steps_are_those_of_the_clock_and_every_series_has_all_of_them(
    patient: Any, connection: asyncpg.Connection
) -> None:
    await store(
        connection,
        line("2026-11-22T02:00:00Z", level=3),
        line("2026-11-22T02:07:00Z"),
        line("2026-11-22T02:07:59.999999Z"),
    )
    answer = await ask(patient, by="level", step="5m", start="2026-11-22T01:58:01Z", end="2026-11-22T02:10:00.000001Z")
    times = [f"2026-11-22T{time}:00Z" for time in ("01:55", "02:00", "02:05", "02:10")]
    info, error = answer["series"]
    assert (info["labels"], info["total"]) == ({"level": "info"}, 2)
    assert (error["labels"], error["total"]) == ({"level": "error"}, 1)
    assert info["points"] == [[times[0], 0], [times[1], 0], [times[2], 2], [times[3], 0]]
    assert error["points"] == [[times[0], 0], [times[1], 1], [times[2], 0], [times[3], 0]]
    assert answer["other"] is None
    assert answer["took_ms"] > 0


async def test_an_open_range_ends_where_the_lines_do(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, line("2026-11-22T02:00:10Z"), line("2026-11-22T02:03:10Z", service="db"))
    answer = await ask(patient, service="api", step="1m")
    assert answer["series"][0]["points"] == [
        ["2026-11-22T02:00:00Z", 1],
        ["2026-11-22T02:01:00Z", 0],
        ["2026-11-22T02:02:00Z", 0],
        ["2026-11-22T02:03:00Z", 0],
    ]
    late = await ask(patient, step="1m", start="2026-11-22T02:02:30Z")
    assert late["series"][0]["points"] == [["2026-11-22T02:02:00Z", 0], ["2026-11-22T02:03:00Z", 1]]


async def test_nothing_stored_is_an_answer(patient: Any) -> None:
    assert (await ask(patient, by="service"))["series"] == []
    assert (await ask(patient))["series"] == [{"labels": {}, "total": 0, "points": []}]
    assert (await ask(patient, step="1m"))["series"] == [{"labels": {}, "total": 0, "points": []}]
    assert (await ask(patient, q="timeout", by="host", step="1s"))["series"] == []
    hour = await ask(patient, step="30m", start="2026-11-22T02:00:00Z", end="2026-11-22T03:00:00Z")
    assert hour["series"][0]["points"] == [["2026-11-22T02:00:00Z", 0], ["2026-11-22T02:30:00Z", 0]]


async def test_a_line_that_comes_late_is_counted_where_it_belongs(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, line("2026-11-22T02:59:00Z"), number=1)
    before = await ask(patient, step="1d")
    await store(connection, line("2026-11-20T00:00:00Z"), line("2026-11-21T23:59:59.999999Z"), number=2)
    after = await ask(patient, step="1d")
    assert [rows for _, rows in before["series"][0]["points"]] == [1]
    assert [rows for _, rows in after["series"][0]["points"]] == [1, 1, 1]


async def test_attributes_make_series_by_their_value_as_text(patient: Any, connection: asyncpg.Connection) -> None:
    values = ('42', '"42"', '42.0', 'true', 'null', '["a", 1]', '{"b": 2}', '"' + "x" * 2_000 + '"')  # fmt: skip
    await store(
        connection,
        *(f'{{"message": "m", "http": {{"code": {value}}}}}' for value in values),
        '{"message": "m", "http.code": "42"}',
        '{"message": "m"}',
    )
    answer = await ask(patient, by="attrs.http.code")
    found = {series["labels"]["attrs.http.code"]: series["total"] for series in answer["series"]}
    assert found == {"42": 3, "42.0": 1, "true": 1, None: 2, '["a", 1]': 1, '{"b": 2}': 1, "x" * 1_024: 1}


async def test_every_field_of_a_line_can_be_counted_by(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, line("2026-11-22T02:00:00Z"))
    known = {"service": "api", "host": "web-1", "level": "info", "trace_id": None, "proc_id": None, "msg_id": None}
    for name, value in {**known, "input": "tcp", "format": "rfc5424", "peer": "192.0.2.7"}.items():
        assert (await ask(patient, by=name))["series"] == [{"labels": {name: value}, "total": 1, "points": []}]
    odd = 'attrs."a b".c'
    assert (await ask(patient, by=odd))["series"][0]["labels"] == {odd: None}


async def test_series_without_room_are_added_up(patient: Any, connection: asyncpg.Connection) -> None:
    lines = [line(f"2026-11-22T02:0{n % 3}:00Z", service=f"s{n}") for n in range(5) for _ in range(n + 1)]
    await store(connection, *lines)
    for parameters in ({}, {"q": "m"}):
        answer = await ask(patient, by="service", step="1m", limit="2", **parameters)
        assert [(one["labels"]["service"], one["total"]) for one in answer["series"]] == [("s4", 5), ("s3", 4)]
        assert (answer["other"]["series"], answer["other"]["total"]) == (3, 6)
        assert [rows for _, rows in answer["other"]["points"]] == [1, 2, 3]


async def test_an_answer_has_no_more_points_than_the_cap(
    patient: Any, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts_module, "_MAX_POINTS", 9)
    await store(connection, *(line(f"2026-11-22T02:0{n}:00Z", service=f"s{n}") for n in range(4)))
    answer = await ask(patient, by="service", step="1m")
    assert (len(answer["series"]), answer["other"]["series"], answer["other"]["total"]) == (2, 2, 2)
    assert sum(len(one["points"]) for one in answer["series"]) <= 9


@pytest.mark.parametrize(
    ("parameters", "field", "message"),
    [
        ({"step": "1"}, "step", "must be a duration like 10s, 5m or 1h, 1ms..366d (got '1')"),
        ({"step": "0s"}, "step", "must be a duration like 10s, 5m or 1h, 1ms..366d (got '0s')"),
        ({"step": "-1m"}, "step", "must be a duration like 10s, 5m or 1h, 1ms..366d (got '-1m')"),
        ({"step": "999999999d"}, "step", "must be a duration like 10s, 5m or 1h, 1ms..366d (got '999999999d')"),
        ({"by": "message"}, "by", "attrs.NAME or tag.NAME (got 'message'"),
        ({"by": "servcie"}, "by", "attrs.NAME or tag.NAME (got 'servcie'; did you mean service?)"),
        ({"by": "service,service"}, "by", "must not name a field twice (got 'service,service')"),
        ({"by": "service,,host"}, "by", "must not be empty"),
        ({"by": "service,host,level,peer,input"}, "by", "must be at most 4 fields (got 5)"),
        ({"by": "attrs.a') FROM logs; --"}, "by", "attrs.NAME or tag.NAME"),
        ({"limit": "1001"}, "limit", "must be a whole number 1..1000 (got '1001')"),
        ({"order": "asc"}, "order", "is not a parameter of this resource"),
        ({"start": "soon"}, "start", "must be a time"),
        ({"step": "1s", "start": "-1d", "end": "now"}, "step", "must make at most 11000 steps"),
    ],
)  # fmt: skip
async def test_what_can_not_be_counted_is_refused_by_name(
    patient: Any, parameters: dict[str, str], field: str, message: str
) -> None:
    status, named, text = await refusal(patient, **parameters)
    assert (status, named) == (400, field)
    assert text.startswith(f"{field}: ")
    assert message in text


async def test_an_open_range_of_too_many_steps_is_refused_too(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, line("2026-11-22T02:00:00Z"), line("2026-11-17T02:00:00Z"))
    status, field, message = await refusal(patient, step="10s")
    assert (status, field) == (400, "step")
    assert "makes 43206)" in message
    assert len((await ask(patient, step="1m"))["series"][0]["points"]) == 7_201
