"""Headers of every answer: what a browser must not do with it, and nothing about what runs here.

A resource that sets one of them itself keeps its own, as a page will that has scripts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from aiohttp import web

__all__ = ["answer_bad_http", "secure"]

_HEADERS = MappingProxyType(
    {
        "Cache-Control": "no-store",  # no log line is left on the disk of a browser or a proxy
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # no line of a log becomes a page
        "Referrer-Policy": "no-referrer",  # the URL holds the question
        "X-Content-Type-Options": "nosniff",
    }
)


async def secure(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set the headers of an answer, stream or not, that is about to be sent."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall("Server", None)  # names the versions of Python and aiohttp


class _Request(web.Request):
    """A request whose answer gets the headers also when the application never sees it."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        await secure(self, response)


def answer_bad_http(runner: web.BaseRunner) -> None:
    """Let a server that is set up send the headers in its own answers, too: those to what is no HTTP."""
    server = runner.server
    if server is None:
        return
    make_request = server.request_factory

    def make_our_request(*parts: Any) -> web.BaseRequest:
        request = make_request(*parts)
        # The application has no public place for a class of its own, and what is no HTTP never reaches its signals.
        request.__class__ = _Request
        return request

    server.request_factory = make_our_request
