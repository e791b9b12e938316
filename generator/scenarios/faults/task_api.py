"""A to-do list over HTTP, as small as one can be and with a bug: dividing a task into no parts is a 500."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from secrets import token_hex
from time import monotonic
from types import TracebackType
from typing import Any

__all__ = ["TaskApi"]

_MAX_BODY_BYTES = 64 << 10
_LEVELS = {4: "WARNING", 5: "ERROR"}  # by the first digit of the status


class TaskApi:
    """Serves on a free port of the loopback address while the block runs.

    ============================ ==========================================
    ``POST /tasks``              201; 400 without a title
    ``GET /tasks/ID``            200; 404 when there is none
    ``POST /tasks/ID/split``     into ``parts``; 500 when that is 0
    ============================ ==========================================

    Args:
        log: is given one JSON line for each request.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._tasks: dict[int, str] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self._thread = threading.Thread(target=self._server.serve_forever, name="task-api")

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> TaskApi:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._respond(b"")

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "0")
                readable = length.isascii() and length.isdigit() and len(length) < 8
                self._respond(self.rfile.read(min(int(length), _MAX_BODY_BYTES)) if readable else b"")

            def _respond(self, body: bytes) -> None:
                status, document = answer(self.command, self.path, body)
                payload = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is inherited
                """Write nothing: each request is logged already."""

        return Handler

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a request, and log what became of it."""
        started_at = monotonic()
        try:
            status, document = self._handle(method, path, body)
            problem = document.get("error", "")
        except ZeroDivisionError as bug:
            status, document, problem = 500, {"error": "internal error"}, f"{type(bug).__name__}: {bug}"
        self._log(
            json.dumps(
                {
                    "timestamp": datetime.now(UTC).isoformat(),
                    "level": _LEVELS.get(status // 100, "INFO"),
                    "service": "task-api",
                    "message": f"{method} {path} {status}" + (f": {problem}" if problem else ""),
                    "status": status,
                    "method": method,
                    "path": path,
                    "request_id": f"req-{token_hex(3)}",
                    "trace_id": token_hex(16),
                    "duration_ms": round((monotonic() - started_at) * 1_000),
                }
            )
        )
        return status, document

    def _handle(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        match method, path.strip("/").split("/"):
            case "POST", ["tasks"]:
                return self._create(_read_object(body))
            case "GET", ["tasks", number]:
                task = self._find(number)
                return (200, {"title": task}) if task is not None else (404, {"error": f"no task {number}"})
            case "POST", ["tasks", number, "split"]:
                if self._find(number) is None:
                    return 404, {"error": f"no task {number}"}
                return self._split(_read_object(body))
            case _:
                return 404, {"error": "no such path"}

    def _create(self, document: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        title = document.get("title") if document is not None else None
        if not isinstance(title, str) or not title.strip():
            return 400, {"error": "title: must be a text"}
        with self._lock:
            number = next(self._numbers)
            self._tasks[number] = title
        return 201, {"id": number, "title": title}

    def _split(self, document: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        parts = document.get("parts") if document is not None else None
        if not isinstance(parts, int):
            return 400, {"error": "parts: must be a number"}
        return 200, {"percent_each": 100 / parts}  # the bug: nobody thought of 0

    def _find(self, number: str) -> str | None:
        return self._tasks.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
