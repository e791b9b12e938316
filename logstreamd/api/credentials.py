"""The token that a request brings.

As ``Authorization: Bearer TOKEN``, or as the password of ``Basic`` with any user name: many senders and data sources
have no other field for it. Nothing ever asks for Basic, so no browser keeps a token to send it along by itself.

Sources: RFC 6750 section 2.1, RFC 7617 section 2.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from aiohttp import web

__all__ = ["read_token"]


def read_token(request: web.Request) -> str | None:
    """Return the token; None when there is none, an empty text when it can't be read."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, value = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            return _password(value.strip())
    return ""


def _password(value: str) -> str:
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
