"""Receivers of webhooks that misbehave, each on a path of its own of one server."""

from __future__ import annotations

import json
import socket
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

__all__ = ["MEGABYTES", "Receivers"]

MEGABYTES = 1_000
"""In the answer that nobody is to read."""
_MEBIBYTE = b"x" * (1 << 20)
_METADATA_SERVICE = "http://169.254.169.254/latest/meta-data/"


class Receivers:
    """A server on the loopback address.

    ==============  ===========================================================
    path            what it does
    ==============  ===========================================================
    ``good``        takes every message
    ``flaky``       answers 500 twice, then takes every message
    ``hang``        takes a message and never answers
    ``redirect``    redirects to the metadata service of a cloud
    ``elsewhere``   redirects to ``trap``
    ``trap``        is where nobody may come
    ``megabytes``   answers 500 with megabytes of body
    ==============  ===========================================================
    """

    def __init__(self) -> None:
        self.alerts: dict[str, list[str]] = {}
        self.requests: Counter[str] = Counter()
        self.megabytes_sent = 0
        self._turn = Lock()
        self._over = Event()
        receivers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receivers._answer(self)

            def do_GET(self) -> None:
                receivers._answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Receivers:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Return where to post to."""
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def told(self, path: str) -> set[str]:
        """Return the fingerprints of the alerts that a receiver took."""
        return set(self.alerts.get(path, []))

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.strip("/")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._turn:
            self.requests[path] += 1
            turn = self.requests[path]
        if path == "good" or (path == "flaky" and turn > 2):
            message = json.loads(body)
            with self._turn:
                self.alerts.setdefault(path, []).extend(alert["fingerprint"] for alert in message["alerts"])
            self._say(request, 200)
        elif path == "flaky":
            self._say(request, 500)
        elif path in ("redirect", "elsewhere"):
            self._say(request, 307, _METADATA_SERVICE if path == "redirect" else self.url("trap"))
        elif path == "hang":
            self._over.wait()
        elif path == "megabytes":
            self._talk(request)

    def _say(self, request: BaseHTTPRequestHandler, status: int, location: str = "") -> None:
        request.send_response(status)
        if location:
            request.send_header("Location", location)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _talk(self, request: BaseHTTPRequestHandler) -> None:
        """Answer for as long as somebody listens."""
        request.send_response(500)
        request.send_header("Content-Length", str(MEGABYTES << 20))
        request.end_headers()
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        try:
            for _ in range(MEGABYTES):
                request.wfile.write(_MEBIBYTE)
                with self._turn:
                    self.megabytes_sent += 1
        except ConnectionError:
            request.close_connection = True
