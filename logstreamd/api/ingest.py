"""``POST /api/v1/logs``: a batch of logs, answered when it is durable."""

from __future__ import annotations

import asyncio
from math import ceil

from aiohttp import web

from logstreamd import faults
from logstreamd.api.answers import json_answer
from logstreamd.api.errors import error_answer
from logstreamd.api.slow_clients import slow_body
from logstreamd.inputs.addresses import peer_address
from logstreamd.inputs.admission import Admission
from logstreamd.inputs.http import BusyError, HttpInput, KeyReusedError, NoRoomError
from logstreamd.inputs.sources import Source
from logstreamd.wire.inflate import ENCODINGS, InflateError, TooLargeError
from logstreamd.wire.ingest_body import BodyError, TooManyLinesError

__all__ = ["IngestResource"]

_CONTENT_TYPES = frozenset(
    {
        "application/json",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/stream+json",
        "application/octet-stream",  # what aiohttp takes a request without a type for
    }
)
# Bodies that arrive or wait to be durable, as a multiple of the largest one allowed: 64 MiB by default.
_HELD_BODIES = 4
_MAX_REJECTED_SHOWN = 1_000
_MAX_KEY_CHARS = 256
_RETRY_SECONDS = 1


class IngestResource:
    """Takes batches.

    Args:
        http_input: makes them durable.
        admission: how much a client may send.
        read_seconds: for a whole body to arrive.
    """

    def __init__(self, http_input: HttpInput, admission: Admission, *, read_seconds: float = 60.0) -> None:
        self._input = http_input
        self._read_seconds = read_seconds
        self._admission = admission
        self._held_bytes = 0

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [web.post("/api/v1/logs", self.post)]

    async def post(self, request: web.Request) -> web.Response:
        """Answer ``{"accepted": n, "rejected": [{"line", "reason"}]}``; 400 with the same when nothing was accepted."""
        if request.content_type not in _CONTENT_TYPES:
            # Forms of a web page can't send these types, so a page can't make its reader's browser write logs.
            expected = "application/json or application/x-ndjson"
            return error_answer(
                415, "bad_content_type", f"Content-Type must be {expected} (got {request.content_type})"
            )
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ENCODINGS:
            message = f"Content-Encoding must be one of {', '.join(ENCODINGS)} (got {encoding!r})"
            return error_answer(415, "bad_content_encoding", message)
        key = request.headers.get("Idempotency-Key")
        if key is not None and not (0 < len(key) <= _MAX_KEY_CHARS and key.isascii() and key.isprintable()):
            message = f"Idempotency-Key must be 1..{_MAX_KEY_CHARS} printable ASCII characters (got {len(key)})"
            return error_answer(400, "bad_parameter", message, field="Idempotency-Key")
        peer = peer_address(request.remote or "")
        source = self._admission.source(peer)
        if source is not None and (owed_seconds := source.owed_seconds(0, 0)):
            message = "this client has sent more than http.max_records_per_second or http.max_bytes_per_second allow"
            return error_answer(429, "rate_limited", message, retry_after_seconds=ceil(owed_seconds))
        body = bytearray()
        try:
            async with asyncio.timeout(self._read_seconds):
                await self._receive(request, body, source)
            return await self._accept(body, encoding, peer, key, source)
        except TimeoutError:
            return slow_body(self._read_seconds)
        except BusyError as problem:
            return error_answer(429, "busy", str(problem), retry_after_seconds=_RETRY_SECONDS)
        finally:
            self._held_bytes -= len(body)

    async def _receive(self, request: web.Request, body: bytearray, source: Source | None) -> None:
        """Append the body as it arrives; many senders together are bounded like one is."""
        async for piece in request.content.iter_any():
            if len(body) + len(piece) > request.client_max_size:
                raise web.HTTPRequestEntityTooLarge(request.client_max_size, len(body) + len(piece))
            if self._held_bytes + len(piece) > _HELD_BODIES * request.client_max_size:
                raise BusyError("as many bodies are arriving as memory is set aside for")
            self._held_bytes += len(piece)
            body += piece
            if source is not None:  # as it comes, so that requests side by side see what the others bring
                source.charge(0, len(piece))

    async def _accept(
        self, body: bytearray, encoding: str, peer: str, key: str | None, source: Source | None
    ) -> web.Response:
        try:
            answer = await self._input.accept(body, encoding=encoding, peer=peer, key=key)
        except (InflateError, BodyError) as problem:
            return error_answer(400, "bad_body", str(problem))
        except (TooLargeError, TooManyLinesError) as problem:
            return error_answer(413, "too_large", str(problem))
        except KeyReusedError as problem:
            return error_answer(422, "key_reused", str(problem), field="Idempotency-Key")
        except NoRoomError as problem:
            return error_answer(503, "no_room", str(problem), retry_after_seconds=_RETRY_SECONDS)
        if source is not None and not answer.repeated:
            source.charge(answer.accepted, 0)
        faults.hit("http.before_ack")
        shown = answer.rejected[:_MAX_REJECTED_SHOWN]
        result = {
            "accepted": answer.accepted,
            "rejected": [{"line": line, "reason": reason} for line, reason in shown],
        }
        if len(shown) < len(answer.rejected):
            result["rejected_total"] = len(answer.rejected)
        if answer.rejected and not answer.accepted:
            line, reason = answer.rejected[0]
            error = {"code": "nothing_accepted", "message": f"line {line}: {reason}", "field": None}
            return json_answer({"error": error, **result}, status=400)
        return json_answer(result, headers={"Idempotency-Replayed": "true"} if answer.repeated else None)
