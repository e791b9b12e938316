"""``GET /api/v1/logs/tail``: what is stored from now on, as server-sent events.

=========== ======================================= ==============================================================
event       data                                    when
=========== ======================================= ==============================================================
``log``     a row, as ``GET /api/v1/logs`` has it   it was stored
``skipped`` ``{"skipped": 3, "unread": 0}``         rows the client did not read in time; rows that may match and
                                                    that there was no time to look at. Both null: the client was
                                                    away for too long to tell
=========== ======================================= ==============================================================

A new row has an id that says how far the client is; one that brings it back as ``Last-Event-ID`` goes on from there.
While there is nothing to say, an empty event brings the id up to date and keeps the connection alive.

Source: HTML Living Standard, section 9.2, "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from logstreamd.api.errors import error_answer
from logstreamd.query.search import LogReader, Search
from logstreamd.query.tail import (
    Follower,
    Position,
    Subscription,
    Tail,
    TooManyTailsError,
    parse_position,
    parse_tail,
    skipped_event,
)

__all__ = ["TailResource"]

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx holds an answer back until it has a page of it
}
_RECONNECT_MS = 2_000
_HEARTBEAT_SECONDS = 15.0  # half of what proxies take for the end
# For a client to take one part of the stream: a MiB at 35 KiB a second. What the kernel holds for it comes on top.
_WRITE_SECONDS = 30.0
_BACKLOGS = 2  # searches for what comes first, at once: a fleet of clients that return must not take all there are
_RETRY_SECONDS = 5
_encode_json = msgspec.json.Encoder(decimal_format="number").encode


class TailResource:
    """Streams.

    Args:
        follower: has what is new.
        reader: has what was there before.
        max_rows: the most rows that may come before the first new one.
        heartbeat_seconds: of silence at most.
        write_seconds: for a client to take what it was sent.
    """

    def __init__(
        self,
        follower: Follower,
        reader: LogReader,
        *,
        max_rows: int,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
        write_seconds: float = _WRITE_SECONDS,
    ) -> None:
        self._follower = follower
        self._reader = reader
        self._max_rows = max_rows
        self._heartbeat_seconds = heartbeat_seconds
        self._write_seconds = write_seconds
        self._backlogs = asyncio.Semaphore(_BACKLOGS)

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.get("/api/v1/logs/tail", self.tail, allow_head=False)]

    async def tail(self, request: web.Request) -> web.StreamResponse:
        """Answer with a stream that ends when the client goes or does not read, or the daemon stops."""
        tail = parse_tail(request.query.items(), now=datetime.now(UTC), max_rows=self._max_rows)
        last_event_id = request.headers.get("Last-Event-ID")
        since = parse_position(last_event_id) if last_event_id else None
        try:
            async with self._follower.subscribe(tail.filter) as subscription:
                async with self._backlogs:
                    first = await (
                        self._backlog(tail, subscription) if since is None else self._missed(since, subscription)
                    )
                return await self._stream(request, subscription, first)
        except TooManyTailsError as problem:
            return error_answer(429, "too_many_tails", str(problem), retry_after_seconds=_RETRY_SECONDS)

    async def _backlog(self, tail: Tail, subscription: Subscription) -> bytes:
        """Return the newest rows of before, the oldest of them first."""
        if not tail.last:
            return b""
        page = await self._reader.search(Search(tail.scope, limit=tail.last))
        subscription.has_shown(log["id"] for log in page.logs)
        return b"".join(b"event: log\ndata: %b\n\n" % _encode_json(log) for log in reversed(page.logs))

    async def _missed(self, since: Position, subscription: Subscription) -> bytes:
        """Return what a client missed that was here before."""
        missed = await self._follower.missed(since, subscription)
        if missed is None:
            return skipped_event(None, None)
        texts = [text for found in missed for _, text in found.events]
        unread = sum(found.unread for found in missed)
        return b"".join(texts) + (skipped_event(0, unread) if unread else b"")

    async def _stream(self, request: web.Request, subscription: Subscription, first: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        try:
            await self._write(response, b"retry: %d\n\n%b" % (_RECONNECT_MS, first))
            async for text in self._texts(subscription):
                await self._write(response, text)
        except (TimeoutError, ConnectionError):  # it does not read, or is gone
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _write(self, response: web.StreamResponse, text: bytes) -> None:
        async with asyncio.timeout(self._write_seconds):
            await response.write(text)

    async def _texts(self, subscription: Subscription) -> AsyncIterator[bytes]:
        """Yield what to send: the client's position first, then events as they come."""
        yield _position_event(subscription)
        while not subscription.closed:
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    text = await subscription.next()
            except TimeoutError:
                text = _position_event(subscription)
            yield text


def _position_event(subscription: Subscription) -> bytes:
    """An event without data: nobody is shown it, and the client's last id is how far it is."""
    return b"id: %b\n\n" % str(subscription.position).encode()
