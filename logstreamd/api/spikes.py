"""``GET /api/v1/spikes``: minutes in which a service had more errors than usual, with the band that is usual."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.query.spikes import SpikeReader, parse_spikes

__all__ = ["SpikesResource"]


class SpikesResource:
    """Finds spikes.

    Args:
        reader: asks the database.
    """

    def __init__(self, reader: SpikeReader) -> None:
        self._reader = reader

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/spikes", self.spikes)]

    async def spikes(self, request: web.Request) -> web.Response:
        """Answer ``{"spikes": [{"service", "minute", "errors", "low", "high", …}], "more", "took_ms"}``."""
        question = parse_spikes(request.query.items(), now=datetime.now(UTC))
        return json_answer(await self._reader.spikes(question))
