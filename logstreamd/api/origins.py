"""Which web pages may use the API from their scripts (CORS), and under which names it may be asked at all.

A page on the internet can make its reader's browser send requests anywhere, also to 127.0.0.1. To read the answers its
origin has to be listed. A page could still give its own name the address 127.0.0.1 after it was loaded (DNS rebinding),
and be of the same origin then; but the browser sends that name as ``Host``, so unknown names are refused.

Sources: Fetch Standard, section 3.2; RFC 9110 section 15.5.20.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address

from aiohttp import web

from logstreamd.config import ListenAddress

__all__ = ["is_loopback", "is_served", "mark_answer", "preflight_answer", "served_hosts"]

_HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+?)\.?(?::[0-9]*)?", re.IGNORECASE)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Last-Event-ID, "
    "Traceparent, X-Request-Id",
    "Access-Control-Max-Age": "600",
}


def is_loopback(address: ListenAddress) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def served_hosts(listen: ListenAddress, allowed: Collection[str]) -> frozenset[str] | None:
    """Return the names under which the server may be asked; None: under every name."""
    if not allowed and not is_loopback(listen):
        return None
    own = str(ListenAddress(listen.host, 0)).removesuffix(":0")
    return frozenset({"localhost", "127.0.0.1", "[::1]", own, *allowed})


def is_served(request: web.Request, hosts: Collection[str]) -> bool:
    """Whether a request asks for one of these hosts, at whatever port."""
    asked = request.headers.get("Host")
    if asked is None:
        return True  # HTTP/1.0; every browser names the host
    match = _HOST.fullmatch(asked.strip())
    return match is not None and match["host"].lower() in hosts


def preflight_answer(request: web.Request, origins: Collection[str]) -> web.Response | None:
    """Answer a browser that asks whether a page of a listed origin may send something; None: it does not ask that."""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not asks or request.headers.get("Origin") not in origins:
        return None
    return web.Response(status=204, headers=_PREFLIGHT)


def mark_answer(request: web.Request, response: web.StreamResponse, origins: Collection[str]) -> None:
    """Let the scripts of a listed origin read an answer; no cookie is involved, so none is allowed."""
    if not origins:
        return
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is not None and origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Idempotency-Replayed, Retry-After, X-Request-Id"
