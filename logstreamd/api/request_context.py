"""What a request is called: the id in its answer and in every line of the log it causes, and its span.

A client that has an id for its request already (a proxy, a browser's error report) names it in ``X-Request-Id``, and
finds it again in the daemon's log.
"""

from __future__ import annotations

import re
import secrets
import time

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from logstreamd import tracing

__all__ = ["REQUEST_ID_HEADER", "in_context", "name_request", "route_of"]

REQUEST_ID_HEADER = "X-Request-Id"

_log = structlog.get_logger(__name__)
_REQUEST_ID = web.RequestKey("request_id", str)
# What proxies make: hexadecimal, UUIDs, ULIDs, base64, Root=1-… of AWS. Nothing in it needs to be escaped anywhere.
_VALID_ID = re.compile(r"[A-Za-z0-9._:=+/@-]{1,128}")
_MADE_BYTES = 8  # 64 bits: two requests of a log have the same id once in centuries
_METHODS = hdrs.METH_ALL - {"*"}


def route_of(request: web.Request) -> str:
    """Return the route as it was declared, ``unknown`` for none: no name or label must follow what a client types."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


@web.middleware
async def in_context(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request inside its context; a line about it, at ``debug``, has no word of what was asked."""
    request_id = request[_REQUEST_ID] = _id_of(request)
    method = request.method if request.method in _METHODS else "_OTHER"
    route = route_of(request)
    status = None
    started = time.perf_counter()
    attributes = {"http.request.method": method, "http.route": route}
    with (
        structlog.contextvars.bound_contextvars(request_id=request_id),
        tracing.span(f"{method} {route}", "server", attributes=attributes, carrier=request.headers) as span,
    ):
        try:
            response = await handler(request)
            status = response.status
            span.set("http.response.status_code", status)
            if status >= 500:
                span.fail(str(status))
            return response
        finally:
            _log.debug(
                "request",
                method=method,
                route=route,
                status=status,  # null: the client went away
                seconds=round(time.perf_counter() - started, 6),
                peer=request.remote,
            )


async def name_request(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Send the id back: an answer is about to be sent."""
    if _REQUEST_ID in request:  # not where a request was refused before it came to the application
        response.headers[REQUEST_ID_HEADER] = request[_REQUEST_ID]


def _id_of(request: web.Request) -> str:
    named = request.headers.get(REQUEST_ID_HEADER, "")
    return named if _VALID_ID.fullmatch(named) else secrets.token_hex(_MADE_BYTES)
