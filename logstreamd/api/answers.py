"""JSON answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["json_answer"]

_encode = msgspec.json.Encoder(decimal_format="number").encode


def json_answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON; datetimes are written as RFC 3339, ``msgspec.Raw`` as it is."""
    return web.Response(body=_encode(body), status=status, content_type="application/json", headers=headers)
