"""``GET /api/v1/logs``: rows, newest first, as one JSON document or line by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

from aiohttp import web

from logstreamd.api.answers import json_answer
from logstreamd.api.errors import REFUSED, refusal_of
from logstreamd.api.log_formats import CsvLines, LineFormat, NdjsonLines
from logstreamd.query.errors import BadParameterError
from logstreamd.query.parameters import read_choice
from logstreamd.query.search import LogReader, Search, parse_search

__all__ = ["LogsResource"]

_FORMATS = {"json": "", "ndjson": "", "csv": ""}
_LINES: dict[str, Callable[[], LineFormat]] = {"ndjson": NdjsonLines, "csv": CsvLines}
_FORMAT_OF_TYPE = {"application/json": "json", "application/x-ndjson": "ndjson", "text/csv": "csv"}
_YES_OR_NO = {"0": "no", "1": "yes"}
_PIECE_BYTES = 65_536  # handed to the socket at once
_WRITE_SECONDS = 30.0  # for a client to take a piece: 2 KiB a second


class LogsResource:
    """Searches.

    Args:
        reader: asks the database.
        max_rows: the most rows a JSON document may have.
        max_export_rows: the most rows of an answer line by line.
        write_seconds: for a client to take what it was sent.
    """

    def __init__(
        self,
        reader: LogReader,
        *,
        max_rows: int,
        max_export_rows: int = 1_000_000,
        write_seconds: float = _WRITE_SECONDS,
    ) -> None:
        self._reader = reader
        self._max_rows = max_rows
        self._max_export_rows = max_export_rows
        self._write_seconds = write_seconds

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/logs", self.search)]

    async def search(self, request: web.Request) -> web.StreamResponse:
        """Answer ``{"logs": […], "next_cursor", "took_ms"}``, or the same logs as lines."""
        values = {name: request.query.getall(name) for name in ("format", "explain") if name in request.query}
        chosen = read_choice(values, "format", _FORMATS) if "format" in values else _accepted(request)
        explain = read_choice(values, "explain", _YES_OR_NO) == "1"
        search = parse_search(
            request.query.items(),
            now=datetime.now(UTC),
            max_rows=self._max_rows if chosen == "json" else self._max_export_rows,
            others=("format", "explain"),
        )
        if chosen == "json":
            return await self._document(search, explain)
        if explain:
            raise BadParameterError("explain", f"must come with format=json (got {chosen})")
        return await self._lines(request, search, _LINES[chosen]())

    async def _document(self, search: Search, explain: bool) -> web.Response:
        page = await self._reader.search(search, explain=explain)
        answer = {"logs": page.logs, "next_cursor": page.next_cursor, "took_ms": page.took_ms}
        return json_answer(answer | {"plan": page.plan} if explain else answer)

    async def _lines(self, request: web.Request, search: Search, lines: LineFormat) -> web.StreamResponse:
        async with aclosing(_pieces(self._reader.stream(search), lines)) as pieces:
            # What goes wrong until here is an answer like any other.
            first = await anext(pieces)
            response = web.StreamResponse(headers={"Content-Type": lines.content_type})
            await response.prepare(request)
            whole = False
            try:
                await self._write(response, first)
                async for piece in pieces:
                    await self._write(response, piece)
                whole = True
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()  # the client takes nothing, so nothing is left to be said
            except REFUSED as problem:
                await self._write(response, lines.failure(cast(bytes, refusal_of(problem).body)))
            finally:
                if not whole and request.transport is not None:
                    # Without the end of the answer, so that nobody takes a part for the whole.
                    request.transport.close()
        return response

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        async with asyncio.timeout(self._write_seconds):
            await response.write(piece)


async def _pieces(logs: AsyncGenerator[dict[str, Any], None], lines: LineFormat) -> AsyncGenerator[bytes, None]:
    """Yield the lines in pieces, the first one as soon as there is a log."""
    piece = bytearray(lines.begin())
    size = 1
    try:
        async with aclosing(logs):
            async for log in logs:
                piece += lines.line(log)
                if len(piece) >= size:
                    yield bytes(piece)
                    piece.clear()
                    size = _PIECE_BYTES
    except REFUSED:
        if size == _PIECE_BYTES:  # the answer has begun, and these came before the trouble
            yield bytes(piece)
        raise
    yield bytes(piece)


def _accepted(request: web.Request) -> str:
    """Return the first format that the client names, JSON if it names none of ours."""
    for part in request.headers.get("Accept", "").split(","):
        chosen = _FORMAT_OF_TYPE.get(part.partition(";")[0].strip().lower())
        if chosen is not None:
            return chosen
    return "json"
