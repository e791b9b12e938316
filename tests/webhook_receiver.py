"""A real HTTP server that takes messages, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

__all__ = ["Received", "WebhookReceiver", "hang", "megabytes", "says"]

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One request."""

    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class WebhookReceiver:
    """Listens on the loopback address; the last of its answers goes for all further requests."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = [says(200)]
        self.arrived = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Be down."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.received.append(Received(await request.read(), dict(request.headers)))
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    async def wait_for(self, count: int) -> list[Received]:
        """Return the requests once there are so many; pytest's timeout is the limit."""
        while len(self.received) < count:
            self.arrived.clear()
            await self.arrived.wait()
        return self.received


def says(status: int, text: str = "", **headers: str) -> Answer:
    """An answer with a status; an underscore in a header's name is a hyphen."""

    async def answer(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


async def hang(_request: web.Request) -> web.Response:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def megabytes(request: web.Request) -> web.StreamResponse:
    """Answer 500 with as much body as the other side takes."""
    response = web.StreamResponse(status=500)
    await response.prepare(request)
    with suppress(ConnectionError):  # the other side has had enough
        for _ in range(1_000):
            await response.write(b"x" * (1 << 20))
    return response
