"""Batches of JSON lines to ``POST /api/v1/logs``, and questions; one connection that is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Answer", "HttpClient", "UnreachableError"]

_TIMEOUT_SECONDS = 10.0  # an answer means that a disk was synced, possibly a slow one
_INGEST_PATH = "/api/v1/logs"
# What a server says that may take the same batch later. Source: RFC 9110 section 15, RFC 6585 section 4.
_RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})


class UnreachableError(Exception):
    """There was no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _RETRYABLE

    def document(self) -> dict[str, Any]:
        """Return the JSON object in the body, an empty one when there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class HttpClient:
    """Talks to one server, over a connection that is opened when it is needed.

    Args:
        url: of the server, as in ``http://127.0.0.1:8514``; a path is put before every path.
        timeout_seconds: for each step of an exchange.
    """

    def __init__(self, url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        self.url = url
        self._prefix = parts.path.rstrip("/").removesuffix(_INGEST_PATH)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout_seconds)

    def post_lines(self, lines: bytes, *, key: str) -> Answer:
        """Send JSON lines.

        Args:
            key: the same for every attempt with the same lines, so that they are stored once.

        Raises:
            UnreachableError: there was no answer; the lines may have arrived.
        """
        return self.request(
            "POST", _INGEST_PATH, lines, {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        )

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Ask.

        Raises:
            UnreachableError: there was no answer.
        """
        try:
            self._connection.request(method, self._prefix + path, body, headers or {})
            response = self._connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, HTTPException) as problem:
            self._connection.close()
            raise UnreachableError(str(problem) or type(problem).__name__) from problem

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
