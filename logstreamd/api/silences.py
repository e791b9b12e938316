"""``/api/v1/silences``: what nobody wants to be told for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import msgspec
from aiohttp import web

from logstreamd.alerts.journal import JournalError
from logstreamd.alerts.silence_request import (
    SilenceRequest,
    TooManySilencesError,
    read_silence,
    read_silence_id,
)
from logstreamd.api.answers import json_answer
from logstreamd.api.errors import error_answer
from logstreamd.api.slow_clients import slow_body
from logstreamd.query.errors import BadParameterError, UnavailableError
from logstreamd.query.parameters import collect
from logstreamd.query.silences import SilenceReader

__all__ = ["SilenceKeeper", "SilencesResource"]

_MAX_BODY_BYTES = 64 * 1024  # 16 matchers of the longest kind, escaped


class SilenceKeeper(Protocol):
    """Whoever keeps silences."""

    async def put_silence(self, wanted: SilenceRequest, now: datetime) -> UUID | None:
        """Make or replace a silence; return its id, None when the one to replace is not there."""

    async def end_silence(self, silence_id: UUID, now: datetime) -> bool:
        """End a silence; False when it is not there."""


class SilencesResource:
    """Shows, makes and ends silences.

    Args:
        keeper: keeps them.
        reader: reads them.
        changed: called when there are other silences, so that they count at once.
        read_seconds: for a body to arrive.
    """

    def __init__(
        self,
        keeper: SilenceKeeper,
        reader: SilenceReader,
        changed: Callable[[], Awaitable[object]],
        *,
        read_seconds: float = 60.0,
    ) -> None:
        self._keeper = keeper
        self._read_seconds = read_seconds
        self._reader = reader
        self._changed = changed

    def routes(self) -> list[web.RouteDef]:
        """Where they are found."""
        return [
            web.get("/api/v1/silences", self.all),
            web.post("/api/v1/silences", self.put),
            web.get("/api/v1/silences/{id}", self.one),
            web.delete("/api/v1/silences/{id}", self.end),
        ]

    async def all(self, request: web.Request) -> web.Response:
        """Answer ``{"silences": […]}``, ended ones among them."""
        collect(request.query.items(), ())
        return json_answer({"silences": await self._reader.read(datetime.now(UTC))})

    async def one(self, request: web.Request) -> web.Response:
        """Answer with one silence."""
        collect(request.query.items(), ())
        found = await self._reader.read(datetime.now(UTC), read_silence_id(request.match_info["id"]))
        return json_answer(found[0]) if found else _no_such_silence()

    async def put(self, request: web.Request) -> web.Response:
        """Make a silence, or replace the one that the body names; answer with it."""
        if request.content_type != "application/json":
            # Forms of a web page can't send this type, so a page can't make its reader's browser silence alerts.
            message = f"Content-Type must be application/json (got {request.content_type})"
            return error_answer(415, "bad_content_type", message)
        if (request.content_length or 0) > _MAX_BODY_BYTES:
            return error_answer(413, "too_large", f"a silence has at most {_MAX_BODY_BYTES} bytes")
        try:
            async with asyncio.timeout(self._read_seconds):
                body = await request.read()
        except TimeoutError:
            return slow_body(self._read_seconds)
        now = datetime.now(UTC)
        wanted = read_silence(_decoded(body), now)
        try:
            silence_id = await self._keeper.put_silence(wanted, now)
        except TooManySilencesError as problem:
            return error_answer(409, "too_many_silences", str(problem))
        except JournalError as problem:
            raise UnavailableError(str(problem)) from problem
        if silence_id is None:
            return _no_such_silence()
        await self._changed()
        (silence,) = await self._reader.read(now, silence_id)
        return json_answer(silence, status=201 if wanted.id is None else 200)

    async def end(self, request: web.Request) -> web.Response:
        """End a silence; what fires is told again."""
        try:
            ended = await self._keeper.end_silence(read_silence_id(request.match_info["id"]), datetime.now(UTC))
        except JournalError as problem:
            raise UnavailableError(str(problem)) from problem
        if not ended:
            return _no_such_silence()
        await self._changed()
        return web.Response(status=204)


def _decoded(body: bytes) -> object:
    if len(body) > _MAX_BODY_BYTES:  # it came without saying how long it is
        raise web.HTTPRequestEntityTooLarge(_MAX_BODY_BYTES, len(body))
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadParameterError("body", f"must be JSON ({problem})") from problem


def _no_such_silence() -> web.Response:
    return error_answer(404, "no_such_silence", "there is no silence with this id", field="id")
