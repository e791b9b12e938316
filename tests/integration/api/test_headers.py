"""Headers that every answer has, whoever gives it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from logstreamd.api.headers import secure

EXPECTED = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
ANSWERS = {
    "200": b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
    "200 metrics": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n",
    "200 without a host": b"GET /health HTTP/1.0\r\n",
    "200 of a HEAD": b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n",
    "400": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\n",
    "400 no HTTP": b"\x16\x03\x01 what is this\r\n",
    "400 a long URL": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n",
    "404": b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n",
    "405": b"DELETE /health HTTP/1.1\r\nHost: localhost\r\n",
    "413": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2000000\r\n",
    "415": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n",
    "421": b"GET /health HTTP/1.1\r\nHost: evil.example\r\n",
    "500": b"GET /status HTTP/1.1\r\nHost: localhost\r\n",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_answer_tells_browsers_what_not_to_do_and_nobody_what_runs_here(api: Any, name: str) -> None:
    if name == "500":
        del api.problems  # a bug
    host, port = api.server.endpoints[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(ANSWERS[name] + b"Connection: close\r\n\r\n")
    if name == "413":
        writer.write(b"x" * 2_000_000)
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    assert head.split(" ")[1] == name[:3]
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    assert {key: headers.get(key) for key in EXPECTED} == EXPECTED
    assert "server" not in headers
    assert "aiohttp" not in head
    assert "python" not in head.lower()


async def test_a_resource_may_set_its_own(api: Any) -> None:
    page = web.Response(headers={"Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=60"})
    await secure(None, page)  # type: ignore[arg-type]
    assert page.headers["Content-Security-Policy"] == "default-src 'self'"
    assert page.headers["Cache-Control"] == "max-age=60"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
