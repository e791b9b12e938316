"""Visitors that the service brings along, so that its logs move without anybody else: they come by real HTTP."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from random import Random

import aiohttp

__all__ = ["visit"]

_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", "curl/8.5.0", "python-requests/2.32.3", "kube-probe/1.30")
_TIMEOUT = aiohttp.ClientTimeout(total=10)
# Method, path and body, each as often as it stands here: mostly reads, now and then a mistake.
_REQUESTS: tuple[tuple[str, str, object], ...] = (
    ("GET", "/health", None),
    ("GET", "/users", None),
    ("GET", "/users", None),
    ("GET", "/users", None),
    ("GET", "/users/1", None),
    ("GET", "/users/2", None),
    ("GET", "/users/4711", None),
    ("POST", "/users", {"name": "Barbara Liskov", "email": "barbara@example.org"}),
    ("POST", "/users", {"name": ""}),
    ("GET", "/simulate-load?steps=20", None),
    ("GET", "/favicon.ico", None),
)


async def visit(url: str, per_second: float, rng: Random) -> None:
    """Make requests until cancelled.

    Args:
        url: of the service.
        per_second: how many, evenly spread; a slow answer delays the next one.
    """
    async with aiohttp.ClientSession(url, timeout=_TIMEOUT) as session:
        while True:
            method, path, body = rng.choice(_REQUESTS)
            headers = {"User-Agent": rng.choice(_AGENTS), "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body)
            with suppress(aiohttp.ClientError, TimeoutError):  # visitors that had to wait too long just leave
                async with session.request(method, path, data=data, headers=headers) as response:
                    await response.read()
            await asyncio.sleep(1 / per_second)
