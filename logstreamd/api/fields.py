"""``GET /api/v1/fields`` and ``/api/v1/fields/{name}/values``: what can be filtered on."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.api.errors import error_answer
from logstreamd.query.fields import FieldReader, parse_fields, parse_values
from logstreamd.query.labels import find_label

__all__ = ["FieldsResource"]


class FieldsResource:
    """Lists fields and their values.

    Args:
        reader: asks the database.
    """

    def __init__(self, reader: FieldReader) -> None:
        self._reader = reader

    def routes(self) -> list[web.RouteDef]:
        """Where they are found."""
        return [
            web.get("/api/v1/fields", self.fields),
            web.get("/api/v1/fields/{name:[^/]+}/values", self.values),  # also names with braces in them
        ]

    async def fields(self, request: web.Request) -> web.Response:
        """Answer ``{"fields": [{"name", "types", "rows"}], "sampled_rows", "took_ms"}``."""
        scope = parse_fields(request.query.items(), now=datetime.now(UTC))
        return json_answer(await self._reader.fields(scope))

    async def values(self, request: web.Request) -> web.Response:
        """Answer ``{"values": [{"value", "count"}], "more", "source", "took_ms"}``."""
        name = request.match_info["name"]
        label = find_label(name)
        if label is None:
            return error_answer(404, "unknown_field", f"there are no values of {name!r} to list", field="name")
        question = parse_values(request.query.items(), now=datetime.now(UTC))
        return json_answer(await self._reader.values(label, question))
