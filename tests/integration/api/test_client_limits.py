"""Which addresses may ask over HTTP, and how much each of them may send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from set_clock import SetClock

from logstreamd.config import HttpConfig

JSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def clock() -> SetClock:
    return SetClock(100.0)


@pytest.fixture
def limited(start_api: Callable[..., Any], clock: SetClock) -> Callable[..., Any]:
    async def start(**settings: Any) -> Any:
        api = await start_api(http=HttpConfig(**settings))
        api.access.admission._limits.clock = clock
        return api

    return start


async def send(api: Any, lines: int, **headers: str) -> tuple[int, dict[str, str], Any]:
    body = b'{"message":"x"}\n' * lines
    async with api.client.post(f"{api.url}/api/v1/logs", data=body, headers=JSON | headers) as answer:
        return answer.status, dict(answer.headers), await answer.json()


async def test_an_address_that_is_not_allowed_reads_and_writes_nothing_and_still_sees_that_the_process_lives(
    start_api: Callable[..., Any],
) -> None:
    api = await start_api(http=HttpConfig(allow=("192.0.2.0/24",)))
    for method, path in (("GET", "/status"), ("GET", "/ready"), ("GET", "/metrics"), ("GET", "/"), ("GET", "/nothing")):
        async with api.client.request(method, api.url + path) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "address_not_allowed")
    status, _, _ = await send(api, 1)
    assert status == 403
    assert api.spool.frames == []
    async with api.client.get(f"{api.url}/health") as answer:
        assert answer.status == 200
    assert api.metrics.registry.get_sample_value("logstreamd_denied_connections_total", {"input": "http"}) == 6
    assert [(one["source"], one["refused"]) for one in api.access.admission.top()] == [("127.0.0.1", 6)]


async def test_an_allow_list_is_in_force_for_the_next_request_after_a_reload(start_api: Callable[..., Any]) -> None:
    api = await start_api(http=HttpConfig(allow=("192.0.2.0/24",)))
    assert (await send(api, 1))[0] == 403
    api.access.apply(HttpConfig(allow=("192.0.2.0/24", "127.0.0.0/8")), api.access._rules.tokens)
    assert (await send(api, 1))[0] == 200


async def test_a_client_over_its_limit_is_told_when_to_come_again_and_nothing_of_it_is_taken(
    limited: Callable[..., Any], clock: SetClock
) -> None:
    api = await limited(max_records_per_second=10)
    assert (await send(api, 10))[0] == 200  # what one second allows
    assert (await send(api, 25))[0] == 200  # there is no debt yet, and a request is taken whole
    status, headers, answer = await send(api, 1)
    assert (status, headers["Retry-After"], answer["error"]["code"]) == (429, "3", "rate_limited")
    assert len(api.spool.frames) == 35
    clock.now += 2.4
    assert (await send(api, 1))[0] == 429
    clock.now += 0.2
    assert (await send(api, 1))[0] == 200
    assert len(api.spool.frames) == 36
    (top,) = api.access.admission.top()
    assert (top["source"], top["slowed_seconds"]) == ("127.0.0.1", 2.6)
    assert api.metrics.registry.get_sample_value("logstreamd_slowed_seconds_total", {"input": "http"}) == (
        pytest.approx(2.6)
    )
    assert api.metrics.ledger("http").imbalance == 0


async def test_bytes_are_counted_as_they_arrive(limited: Callable[..., Any], clock: SetClock) -> None:
    api = await limited(max_bytes_per_second=64 * 1024)
    for _ in range(3):
        status, _, _ = await send(api, 0, **{"Content-Type": "application/x-ndjson"})
        assert status in (200, 400)  # an empty body costs nothing
    async with api.client.post(f"{api.url}/api/v1/logs", data=b"x" * 130 * 1024, headers=JSON) as answer:
        assert answer.status in (400, 413)  # what is no log counts as well
    status, headers, _ = await send(api, 1)
    assert (status, headers["Retry-After"]) == (429, "2")


async def test_a_repeated_request_costs_no_records(limited: Callable[..., Any]) -> None:
    api = await limited(max_records_per_second=10)
    for _ in range(5):
        status, _, _ = await send(api, 10, **{"Idempotency-Key": "k"})
        assert status == 200
    assert len(api.spool.frames) == 10
