"""``GET /api/v1/logs``: rows, newest first."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.query.search import LogReader, parse_search

__all__ = ["LogsResource"]


class LogsResource:
    """Searches.

    Args:
        reader: asks the database.
        max_rows: the most rows one answer may have.
    """

    def __init__(self, reader: LogReader, *, max_rows: int) -> None:
        self._reader = reader
        self._max_rows = max_rows

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/logs", self.search)]

    async def search(self, request: web.Request) -> web.Response:
        """Answer ``{"logs": […], "next_cursor", "took_ms"}``."""
        search = parse_search(request.query.items(), now=datetime.now(UTC), max_rows=self._max_rows)
        page = await self._reader.search(search)
        return json_answer({"logs": page.logs, "next_cursor": page.next_cursor, "took_ms": page.took_ms})
