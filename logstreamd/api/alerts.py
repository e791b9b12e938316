"""``/api/v1/rules``, ``/api/v1/alerts`` and their history; the first two as Prometheus has them, too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from logstreamd.alerts.views import RuleChoice, Views
from logstreamd.api.answers import json_answer
from logstreamd.query.alert_events import EventReader, parse_events
from logstreamd.query.errors import BadParameterError
from logstreamd.query.parameters import collect, read_choice

__all__ = ["AlertsResource"]

_RULES = ("rule_name", "rule_group", "file")
# Prometheus writes them with brackets, Loki without.
_PARAMETERS = ("type", "exclude_alerts", *_RULES, *(f"{name}[]" for name in _RULES))


class AlertsResource:
    """Shows rules, alerts and what happened to them.

    Args:
        views: what is known at the moment.
        events: what happened.
    """

    def __init__(self, views: Views, events: EventReader) -> None:
        self._views = views
        self._events = events

    def routes(self) -> list[web.RouteDef]:
        """Where they are found."""
        return [
            web.get("/api/v1/rules", self.rules),
            web.get("/api/v1/alerts", self.alerts),
            web.get("/api/v1/alerts/history", self.history),
            web.get("/prometheus/api/v1/rules", self.prometheus_rules),
            web.get("/prometheus/api/v1/alerts", self.prometheus_alerts),
        ]

    async def rules(self, request: web.Request) -> web.Response:
        """Answer with the groups of rules; an unknown parameter is an error."""
        collect(request.query.items(), _PARAMETERS, once=("type", "exclude_alerts"))
        return _success({"groups": self._groups(request)})

    async def prometheus_rules(self, request: web.Request) -> web.Response:
        """Answer the same; parameters that only other servers know are passed over, as Prometheus does."""
        return _success({"groups": self._groups(request)})

    def _groups(self, request: web.Request) -> list[dict[str, Any]]:
        given = request.query
        kind = read_choice({"type": given.getall("type", ["alert"])}, "type", {"alert": "", "record": ""})
        names, groups, files = ((*given.getall(name, ()), *given.getall(f"{name}[]", ())) for name in _RULES)
        hidden = given.get("exclude_alerts", "false")
        if hidden not in ("true", "false"):
            raise BadParameterError("exclude_alerts", f"must be true or false (got {hidden!r})")
        if kind == "record":
            return []  # there are none: lines are counted as they are stored
        return self._views.rules(RuleChoice(names, groups, files, with_alerts=hidden == "false"))

    async def alerts(self, request: web.Request) -> web.Response:
        """Answer ``{"alerts": […]}``: pending and firing ones, silenced ones among them."""
        collect(request.query.items(), ())
        return json_answer({"alerts": self._views.alerts()})

    async def prometheus_alerts(self, _request: web.Request) -> web.Response:
        """Answer the same in Prometheus' shape."""
        return _success({"alerts": self._views.prometheus_alerts()})

    async def history(self, request: web.Request) -> web.Response:
        """Answer ``{"events": […], "next_cursor", "took_ms"}``."""
        page = await self._events.read(parse_events(request.query.items(), now=datetime.now(UTC)))
        return json_answer({"events": page.events, "next_cursor": page.next_cursor, "took_ms": page.took_ms})


def _success(data: Any) -> web.Response:
    return json_answer({"status": "success", "data": data, "errorType": "", "error": ""})
