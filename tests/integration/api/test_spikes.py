from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest
from stored_lines import store

ONE_TO_TWO = {"start": "2026-11-22T01:00:00Z", "end": "2026-11-22T02:00:00Z"}


async def ask(api: Any, **parameters: str) -> dict[str, Any]:
    status, answer, _ = await api.get("/api/v1/spikes", **parameters)
    assert status == 200, answer
    return answer


def errors(by_minute: Mapping[int, int], service: str = "api", *, level: int = 3) -> Iterator[str]:
    """Yield as many lines as are asked for in each minute from midnight on."""
    for minute, count in by_minute.items():
        for number in range(count):
            stamp = f"2026-11-22T{minute // 60:02}:{minute % 60:02}:{number % 60:02}Z"
            yield f"<{8 + level}>1 {stamp} web-1 {service} - - - boom"


async def test_a_burst_is_found_where_it_was_with_the_band_before_it(
    patient: Any, connection: asyncpg.Connection
) -> None:
    usual = {minute: 1 + minute % 3 for minute in range(120)}
    await store(
        connection,
        *errors(usual | {95: 40}),
        *errors(dict.fromkeys(range(120), 12), "noisy"),
        *errors({95: 500}, "chatty", level=5),
    )
    answer = await ask(patient, **ONE_TO_TWO)
    assert answer["spikes"] == [
        {
            "service": "api",
            "minute": "2026-11-22T01:35:00Z",
            "errors": 40,
            "low": 0.0,
            "high": 7.93,
            "median": 2.0,
            "mad": 1.0,
            "baseline_minutes": 60,
        }
    ]
    assert answer["more"] == 0
    assert (await ask(patient, **ONE_TO_TWO, service="noisy"))["spikes"] == []
    assert (await ask(patient, **ONE_TO_TWO, min_count="41"))["spikes"] == []
    assert (await ask(patient, **ONE_TO_TWO, sensitivity="100"))["spikes"] == []
    (wide,) = (await ask(patient, **ONE_TO_TWO, baseline="90m", sensitivity="2.5"))["spikes"]
    assert (wide["baseline_minutes"], wide["high"]) == (90, 5.707)


async def test_minutes_before_the_first_line_are_no_baseline(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *errors({60: 1, 69: 50, 70: 51}))
    (spike,) = (await ask(patient, **ONE_TO_TWO))["spikes"]
    assert (spike["minute"], spike["baseline_minutes"]) == ("2026-11-22T01:10:00Z", 10)


async def test_lines_without_a_service_have_spikes_too(patient: Any, connection: asyncpg.Connection) -> None:
    stamp = "2026-11-22T01:30:00Z"
    lines = (f'{{"message": "m", "level": "error", "timestamp": "{stamp}"}}' for _ in range(20))
    await store(connection, *errors({0: 1}), *lines)
    (spike,) = (await ask(patient, **ONE_TO_TWO))["spikes"]
    assert (spike["service"], spike["minute"], spike["errors"]) == (None, stamp, 20)


async def test_the_newest_spikes_come_first_and_the_others_are_counted(
    patient: Any, connection: asyncpg.Connection
) -> None:
    await store(connection, *errors({0: 1, 70: 20, 80: 20, 90: 20}))
    answer = await ask(patient, **ONE_TO_TWO, limit="2")
    minutes = [spike["minute"] for spike in answer["spikes"]]
    assert (minutes, answer["more"]) == (["2026-11-22T01:30:00Z", "2026-11-22T01:20:00Z"], 1)


async def test_minutes_that_the_range_cuts_are_whole(patient: Any, connection: asyncpg.Connection) -> None:
    await store(connection, *errors({0: 1, 60: 30, 119: 30}))
    cut = {"start": "2026-11-22T01:00:59Z", "end": "2026-11-22T01:59:00.000001Z"}
    assert [spike["errors"] for spike in (await ask(patient, **cut))["spikes"]] == [30, 30]


async def test_nothing_stored_has_no_spikes(patient: Any) -> None:
    assert (await ask(patient))["spikes"] == []
    assert (await ask(patient, window="1d", baseline="1d"))["spikes"] == []


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"start": "2026-11-20T00:00:00Z", "end": "2026-11-22T00:00:00Z"}, "start"),
        ({"window": "25h"}, "window"),
        ({"window": "1h", "start": "-1h"}, "window"),
        ({"baseline": "9m"}, "baseline"),
        ({"baseline": "25h"}, "baseline"),
        ({"sensitivity": "0.5"}, "sensitivity"),
        ({"sensitivity": "nan"}, "sensitivity"),
        ({"sensitivity": "1e1"}, "sensitivity"),
        ({"min_count": "0"}, "min_count"),
        ({"limit": "1001"}, "limit"),
        ({"q": "x"}, "q"),
        ({"host": "x"}, "host"),
    ],
)
async def test_what_can_not_be_looked_for_is_refused_by_name(
    patient: Any, parameters: dict[str, str], field: str
) -> None:
    status, answer, _ = await patient.get("/api/v1/spikes", **parameters)
    assert (status, answer["error"]["field"]) == (400, field)
