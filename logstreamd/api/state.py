"""``/health``, ``/ready``, ``/status`` and ``/metrics``: how the daemon is, for programs and for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from logstreamd.api.access import KNOWN
from logstreamd.api.answers import json_answer

__all__ = ["StateResource"]


class StateResource:
    """Reports.

    Args:
        problems: what keeps the daemon from taking and storing, one sentence each; empty when nothing does.
        status: every part's state, by the part's name.
        registry: the metrics.
        before_scrape: brings metrics up to date that are not counted as they happen.
    """

    def __init__(
        self,
        problems: Callable[[], list[str]],
        status: Callable[[], dict[str, Any]],
        registry: CollectorRegistry,
        before_scrape: Callable[[], None],
    ) -> None:
        self._problems = problems
        self._status = status
        self._before_scrape = before_scrape
        self._metrics_handler = make_aiohttp_handler(registry)

    def routes(self) -> list[web.RouteDef]:
        """Where they are found."""
        return [
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/status", self.status),
            web.get("/metrics", self.metrics),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """The process is alive and its event loop turns."""
        return json_answer({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """200 when messages can be taken and stored, else 503; what is wrong is for those who are known."""
        problems = self._problems()
        details = {"problems": problems} if request[KNOWN] else {}
        return json_answer({"ready": not problems, **details}, status=503 if problems else 200)

    async def status(self, _request: web.Request) -> web.Response:
        """Every part's state."""
        problems = self._problems()
        return json_answer({"ready": not problems, "problems": problems, **self._status()})

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Prometheus' text format."""
        self._before_scrape()
        return await self._metrics_handler(request)
