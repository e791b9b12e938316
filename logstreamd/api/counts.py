"""``GET /api/v1/counts``: how many rows, by fields and by steps of time."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.query.counts import CountReader, parse_counts

__all__ = ["CountsResource"]


class CountsResource:
    """Counts.

    Args:
        reader: asks the database.
    """

    def __init__(self, reader: CountReader) -> None:
        self._reader = reader

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/counts", self.count)]

    async def count(self, request: web.Request) -> web.Response:
        """Answer ``{"series": [{"labels", "total", "points": [[ts, n], …]}], "other", "source", "took_ms"}``."""
        question = parse_counts(request.query.items(), now=datetime.now(UTC))
        return json_answer(await self._reader.count(question))
