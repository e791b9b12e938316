from __future__ import annotations

from typing import Any

import pytest


async def test_health_says_that_the_process_is_alive(api: Any) -> None:
    assert (await api.get("/health"))[:2] == (200, {"status": "ok"})


async def test_ready_says_what_is_wrong(api: Any) -> None:
    assert (await api.get("/ready"))[:2] == (200, {"ready": True, "problems": []})
    api.problems.append("spool: full")
    assert (await api.get("/ready"))[:2] == (503, {"ready": False, "problems": ["spool: full"]})


async def test_status_shows_the_parts_and_stays_readable_in_trouble(api: Any) -> None:
    api.problems.append("spool: full")
    status, answer, _ = await api.get("/status")
    assert (status, answer) == (200, {"ready": False, "problems": ["spool: full"], "version": "test"})


async def test_metrics_are_text_for_prometheus(api: Any) -> None:
    async with api.client.get(f"{api.url}/metrics") as answer:
        assert answer.content_type == "text/plain"
        assert 'logstreamd_received_frames_total{input="http"} 0.0' in await answer.text()


async def test_requests_are_counted_by_route_and_status_and_never_by_what_a_client_types(api: Any) -> None:
    await api.get("/health")
    for path in ("/nowhere", "/nowhere/else", "/%00%ff"):
        assert (await api.get(path))[0] == 404
    samples = [s for family in api.metrics.http_requests.collect() for s in family.samples if s.name.endswith("_total")]
    counts = {(s.labels["route"], s.labels["status"]): s.value for s in samples}
    assert counts == {("/health", "200"): 1, ("unknown", "404"): 3}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("DELETE", "/api/v1/logs", 405, "method_not_allowed")],
)
async def test_every_refusal_has_the_same_shape(api: Any, method: str, path: str, status: int, code: str) -> None:
    async with api.client.request(method, api.url + path) as answer:
        assert answer.status == status
        error = (await answer.json())["error"]
    assert (error["code"], error["field"]) == (code, None)
    assert error["message"]
    if status == 405:
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
