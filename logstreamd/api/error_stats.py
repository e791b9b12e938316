"""``GET /api/v1/errors/stats`` (also ``/errors/stats``): errors by kind and service, and the newest of them."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.query.error_stats import ErrorReader, parse_error_stats

__all__ = ["ErrorStatsResource"]


class ErrorStatsResource:
    """Counts errors.

    Args:
        reader: asks the database.
    """

    def __init__(self, reader: ErrorReader) -> None:
        self._reader = reader

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/errors/stats", self.stats), web.get("/errors/stats", self.stats)]

    async def stats(self, request: web.Request) -> web.Response:
        """Answer ``{"total_errors", "error_types", "by_service", "points", "recent_errors", "start", "took_ms"}``."""
        question = parse_error_stats(request.query.items(), now=datetime.now(UTC))
        return json_answer(await self._reader.stats(question))
