"""Rules, alerts, history and silences over HTTP, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from watching import NOON, rule_of

from logstreamd.alerts.aggregate import Measured
from logstreamd.alerts.evaluate import evaluate, fail
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.journal_stored import StoredJournal
from logstreamd.alerts.measure import Answer
from logstreamd.alerts.records import event_row
from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.silence import Silence
from logstreamd.alerts.state import RuleState
from logstreamd.alerts.template import read_template
from logstreamd.alerts.views import Views
from logstreamd.alerts.watched import Roster
from logstreamd.api.access import Access
from logstreamd.api.alerts import AlertsResource
from logstreamd.api.application import HttpServer, build_application
from logstreamd.api.silences import SilencesResource
from logstreamd.config import HttpConfig
from logstreamd.metrics import Metrics
from logstreamd.query.alert_events import EventReader
from logstreamd.query.database import Database
from logstreamd.query.filter import parse_filter
from logstreamd.query.silences import SilenceReader
from logstreamd.storage.connections import ConnectionSettings, connect, create_reader_pool
from logstreamd.tokens import TokenSet

BURST = rule_of(
    "ErrorBurst",
    query=parse_filter("level>=error"),
    by=(read_group_key("service"),),
    labels={"severity": read_template("page", ())},
    annotations={"summary": read_template("{{ $labels.service }}: {{ $value }}", ["service"])},
    notify=("ops",),
)
QUIET = rule_of("Quiet", "absent", for_=timedelta(minutes=5))
LINE = {"ts": "2026-11-22T11:59:00Z", "message": "payment refused"}


class Api:
    """A server with one rule that fires for two services, one that failed, and their history."""

    def __init__(self, dsn: str, pool: Any) -> None:
        self.roster = Roster([RuleGroup("web", "rules/web.yaml", BURST.interval, 200, (BURST, QUIET))])
        self.silences: tuple[Silence, ...] = ()
        settings = ConnectionSettings(dsn)
        self.journal = StoredJournal(lambda: connect(settings, purpose="alerts"), events_kept=timedelta(days=90))
        views = Views(self.roster, lambda: self.silences, lambda: datetime.now(UTC))
        asked = Database(pool, max_concurrent=4)
        silences = SilencesResource(self.journal, SilenceReader(asked), self.look)
        resources = [AlertsResource(views, EventReader(asked)), silences]
        metrics = Metrics(version="test", wire="python")
        access = Access(HttpConfig(), TokenSet(), metrics)
        application = build_application(resources, access=access, metrics=metrics, max_body_bytes=1 << 20)
        self.server = HttpServer(application, host="127.0.0.1", port=0)
        self.client = aiohttp.ClientSession()

    async def look(self) -> None:
        self.silences = (await self.journal.beat(datetime.now(UTC))).silences

    async def fill(self) -> None:
        burst, quiet = self.roster.rules
        self.roster.groups[0].evaluated = NOON
        groups = tuple(Measured((name,), count, count) for name, count in (("checkout", 12), ("cart", 11)))
        for at, answer in ((NOON, Answer(groups)), (NOON + timedelta(minutes=1), Answer(groups[:1]))):
            found = evaluate(BURST, burst.state, at, answer)
            await self.journal.record(1, events=[event_row(one, [LINE]) for one in found.transitions])
            burst.accept(found.state, {("checkout",): (LINE,)})
        quiet.accept(fail(QUIET, RuleState(), NOON, "the question takes too long"), {})

    async def ask(self, method: str, path: str, *, json: Any = None, **parameters: Any) -> tuple[int, Any]:
        url = f"http://{self.server.endpoints[0]}{path}"
        async with self.client.request(method, url, json=json, params=parameters) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def get(self, path: str, **parameters: Any) -> Any:
        status, body = await self.ask("GET", path, **parameters)
        assert status == 200, body
        return body

    async def refusal(self, method: str, path: str, **request: Any) -> tuple[int, str, str | None]:
        status, body = await self.ask(method, path, **request)
        return status, body["error"]["code"], body["error"]["field"]


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    pool = await create_reader_pool(ConnectionSettings(database), max_size=4)
    one = Api(database, pool)
    await one.server.start()
    await one.journal.beat(NOON)
    await one.fill()
    yield one
    await one.client.close()
    await one.server.stop()
    await one.journal.close()
    await pool.close()


async def test_rules_are_shown_as_prometheus_shows_them_and_with_what_is_ours(api: Api) -> None:
    answer = await api.get("/api/v1/rules")
    assert answer["status"] == "success"
    (group,) = answer["data"]["groups"]
    burst, quiet = group.pop("rules")
    assert group == {
        "name": "web",
        "file": "rules/web.yaml",
        "interval": 15,
        "limit": 200,
        "evaluationTime": 0,
        "lastEvaluation": "2026-11-22T12:00:00Z",
    }
    assert (burst["state"], burst["name"], burst["query"], burst["condition"]) == (
        "firing", "ErrorBurst", "level>=error", "count > 10",
    )  # fmt: skip
    assert (burst["over"], burst["duration"], burst["health"], burst["type"]) == (60, 0, "ok", "alerting")
    assert burst["annotations"] == {"summary": "{{ $labels.service }}: {{ $value }}"}
    assert burst["alerts"] == [
        {
            "labels": {"alertname": "ErrorBurst", "service": "checkout", "severity": "page"},
            "annotations": {"summary": "checkout: 12"},
            "state": "firing",
            "activeAt": "2026-11-22T12:00:00Z",
            "value": "12",
        }
    ]
    assert (quiet["health"], quiet["lastError"], quiet["duration"]) == ("err", "the question takes too long", 300)
    assert await api.get("/prometheus/api/v1/rules", group_limit="5") == await api.get("/api/v1/rules")
    alerts = (await api.get("/prometheus/api/v1/alerts"))["data"]["alerts"]
    assert alerts == burst["alerts"]


async def names(api: Api, **parameters: Any) -> list[str]:
    groups = (await api.get("/api/v1/rules", **parameters))["data"]["groups"]
    return [rule["name"] for group in groups for rule in group["rules"]]


async def test_rules_can_be_chosen(api: Api) -> None:
    assert await names(api, **{"rule_name[]": "Quiet"}) == ["Quiet"]
    assert await names(api, rule_group="web", file="rules/web.yaml") == ["ErrorBurst", "Quiet"]
    assert await names(api, rule_group="other") == []
    assert await names(api, type="record") == []
    groups = (await api.get("/api/v1/rules", exclude_alerts="true"))["data"]["groups"]
    assert groups[0]["rules"][0]["alerts"] == []


async def test_alerts_are_shown_with_their_lines_and_who_silences_them(api: Api) -> None:
    (alert,) = (await api.get("/api/v1/alerts"))["alerts"]
    assert (alert["alert"], alert["group"], alert["state"], alert["value"]) == ("ErrorBurst", "web", "firing", 12)
    assert alert["starts_at"] == alert["active_at"] == "2026-11-22T12:00:00Z"
    assert (alert["samples"], alert["silenced_by"]) == ([LINE], [])

    status, made = await api.ask("POST", "/api/v1/silences", json=body())
    assert status == 201
    (alert,) = (await api.get("/api/v1/alerts"))["alerts"]
    assert alert["silenced_by"] == [made["id"]]
    assert (await api.ask("DELETE", f"/api/v1/silences/{made['id']}"))[0] == 204
    (alert,) = (await api.get("/api/v1/alerts"))["alerts"]
    assert alert["silenced_by"] == []


async def test_history_is_filtered_and_paged(api: Api) -> None:
    events = (await api.get("/api/v1/alerts/history"))["events"]
    assert [(one["before"], one["after"], one["labels"]["service"]) for one in events] == [
        ("firing", "resolved", "cart"),
        ("inactive", "firing", "cart"),
        ("inactive", "firing", "checkout"),
    ]
    assert events[0]["ends_at"] == "2026-11-22T12:01:00Z"
    assert events[1]["samples"] == [LINE]
    fingerprint = events[0]["fingerprint"]
    for filters, found in (
        ({"state": "firing"}, 2),
        ({"alert": "Quiet"}, 0),
        ({"alert": "Quiet,ErrorBurst", "state": "resolved"}, 1),
        ({"fingerprint": fingerprint}, 2),
        ({"label.service": "checkout", "label.severity": "page"}, 1),
        ({"label.service": "nobody"}, 0),
        ({"start": "2026-11-22T12:00:30Z"}, 1),
        ({"end": "2026-11-22T12:01:00Z"}, 2),
    ):
        assert len((await api.get("/api/v1/alerts/history", **filters))["events"]) == found, filters

    for order in ("desc", "asc"):
        ids, cursor = [], {}
        while True:
            page = await api.get("/api/v1/alerts/history", limit="2", order=order, **cursor)
            ids += [one["id"] for one in page["events"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert ids == sorted(ids, reverse=order == "desc")
        assert len(ids) == 3


@pytest.mark.parametrize(
    ("path", "parameters", "field"),
    [
        ("/api/v1/rules", {"rule": "x"}, "rule"),
        ("/api/v1/rules", {"type": "recording"}, "type"),
        ("/api/v1/rules", {"exclude_alerts": "yes"}, "exclude_alerts"),
        ("/api/v1/rules", {"type": "record", "exclude_alerts": "yes"}, "exclude_alerts"),
        ("/api/v1/alerts", {"state": "firing"}, "state"),
        ("/api/v1/alerts/history", {"state": "burning"}, "state"),
        ("/api/v1/alerts/history", {"start": "now", "end": "-1h"}, "start"),
        ("/api/v1/alerts/history", {"limit": "1001"}, "limit"),
        ("/api/v1/alerts/history", {"cursor": "x"}, "cursor"),
        ("/api/v1/silences", {"state": "active"}, "state"),
    ],
)
async def test_a_bad_parameter_is_named(api: Api, path: str, parameters: dict[str, str], field: str) -> None:
    assert await api.refusal("GET", path, **parameters) == (400, "bad_parameter", field)


def body(**changes: Any) -> dict[str, Any]:
    wanted = {
        "matchers": [{"name": "service", "value": "check.*", "is_regex": True}],
        "author": "ann",
        "comment": "deploying",
        "ends_at": "+2h",
        **changes,
    }
    return {name: value for name, value in wanted.items() if value is not ...}


async def test_silences_are_made_shown_replaced_and_ended(api: Api) -> None:
    status, made = await api.ask("POST", "/api/v1/silences", json=body())
    assert (status, made["state"], made["author"], made["comment"]) == (201, "active", "ann", "deploying")
    assert made["matchers"] == [{"name": "service", "value": "check.*", "is_regex": True, "is_equal": True}]
    lasts = datetime.fromisoformat(made["ends_at"]) - datetime.fromisoformat(made["starts_at"])
    assert lasts == timedelta(hours=2)

    status, later = await api.ask("POST", "/api/v1/silences", json=body(id=made["id"], starts_at="+1h"))
    assert (status, later["id"], later["state"], later["created_at"]) == (
        200,
        made["id"],
        "pending",
        made["created_at"],
    )
    assert await api.get(f"/api/v1/silences/{made['id']}") == later

    assert await api.ask("DELETE", f"/api/v1/silences/{made['id']}") == (204, None)
    (ended,) = (await api.get("/api/v1/silences"))["silences"]
    assert ended["state"] == "expired"

    unknown = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    for method, path, request in (
        ("GET", f"/api/v1/silences/{unknown}", {}),
        ("DELETE", f"/api/v1/silences/{unknown}", {}),
        ("POST", "/api/v1/silences", {"json": body(id=unknown)}),
    ):
        assert await api.refusal(method, path, **request) == (404, "no_such_silence", "id")


MATCHER = {"name": "service", "value": "checkout"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"author": ...}, "author"),
        ({"author": " "}, "author"),
        ({"author": "x" * 129}, "author"),
        ({"comment": ...}, "comment"),
        ({"comment": "nul \0"}, "comment"),
        ({"comment": "x" * 1_025}, "comment"),
        ({"ends_at": ...}, "ends_at"),
        ({"ends_at": "tomorrow"}, "ends_at"),
        ({"ends_at": "-1h"}, "ends_at"),
        ({"ends_at": "+367d"}, "ends_at"),
        ({"starts_at": "+3h"}, "ends_at"),
        ({"starts_at": 5}, "starts_at"),
        ({"id": "five"}, "id"),
        ({"creator": "ann"}, "creator"),
        ({"matchers": ...}, "matchers"),
        ({"matchers": []}, "matchers"),
        ({"matchers": [MATCHER] * 17}, "matchers"),
        ({"matchers": [{"name": "service", "value": ".*", "is_regex": True}]}, "matchers"),
        ({"matchers": [{"name": "service", "value": "x", "is_equal": False}]}, "matchers"),
        ({"matchers": ["service=checkout"]}, "matchers[0]"),
        ({"matchers": [MATCHER, {**MATCHER, "name": "9"}]}, "matchers[1].name"),
        ({"matchers": [{"name": "service"}]}, "matchers[0].value"),
        ({"matchers": [{**MATCHER, "value": "x" * 1_025}]}, "matchers[0].value"),
        ({"matchers": [{**MATCHER, "value": "(", "is_regex": True}]}, "matchers[0].value"),
        ({"matchers": [{**MATCHER, "value": "(a{200}){200}", "is_regex": True}]}, "matchers[0].value"),
        ({"matchers": [{**MATCHER, "is_regex": "yes"}]}, "matchers[0].is_regex"),
        ({"matchers": [{**MATCHER, "isRegex": True}]}, "matchers[0].isRegex"),
    ],
)
async def test_a_silence_that_cannot_be_is_refused_and_the_field_is_named(
    api: Api, changes: dict[str, Any], field: str
) -> None:
    assert await api.refusal("POST", "/api/v1/silences", json=body(**changes)) == (400, "bad_parameter", field)


async def test_a_body_that_is_no_json_too_large_or_a_form_is_refused(api: Api) -> None:
    url = f"http://{api.server.endpoints[0]}/api/v1/silences"
    for data, content_type, status in (
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b" " * 65_537, "application/json", 413),
        (b"matchers=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ):
        async with api.client.post(url, data=data, headers={"Content-Type": content_type}) as answer:
            assert answer.status == status, await answer.text()


async def test_without_a_database_silences_are_refused_and_rules_are_shown(api: Api, database: str) -> None:
    await api.journal.close()
    api.journal._connect = refuse  # type: ignore[assignment]
    refusal = await api.refusal("POST", "/api/v1/silences", json=body())
    assert refusal == (503, "database_unavailable", None)
    assert await names(api) == ["ErrorBurst", "Quiet"]


async def refuse() -> None:
    raise ConnectionRefusedError("nobody there")
