from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from generator.breaker import CircuitBreaker
from generator.http_client import HttpClient
from generator.outputs.http import HttpOutput
from generator.outputs.output import Tally
from tests.unit.generator.fake_time import FakeStop


class Server:
    """Answers with what it was told to, and remembers what came."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, object]] | None] = []
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/api/v1/logs"
                assert self.headers["Content-Type"] == "application/x-ndjson"
                outer.bodies.append(body)
                outer.keys.append(self.headers["Idempotency-Key"])
                answer = outer.answers.pop(0) if outer.answers else (200, {"accepted": body.count(b"\n") + 1})
                if answer is None:
                    self.close_connection = True
                    return
                payload = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def http(server: Server, stop: FakeStop, breaker: CircuitBreaker, told: list[str]) -> Iterator[HttpOutput]:
    output = HttpOutput(
        HttpClient(server.url), batch_lines=3, stop=stop, breaker=breaker, clock=stop.clock, tell=told.append
    )
    yield output
    output.close()


def test_a_batch_is_sent_when_it_is_full_or_old_or_the_last(http: HttpOutput, server: Server, stop: FakeStop) -> None:
    http.write(["1", "2", "3", "4"])
    assert server.bodies == [b"1\n2\n3"]
    http.poll()
    assert len(server.bodies) == 1
    stop.now += 1
    http.poll()
    assert server.bodies == [b"1\n2\n3", b"4"]
    http.write(["5"])
    http.close()
    assert server.bodies[2:] == [b"5"]
    assert http.tally == Tally(sent=5)
    assert len(set(server.keys)) == 3


def test_a_batch_is_sent_again_with_the_same_key_after_no_answer_and_after_busy(
    http: HttpOutput, server: Server, stop: FakeStop
) -> None:
    server.answers = [None, (429, {}), (503, {})]
    http.write(["1", "2", "3"])
    assert server.bodies == [b"1\n2\n3"] * 4
    assert len(set(server.keys)) == 1
    assert http.tally == Tally(sent=3, retried=9)
    assert sum(stop.slept) == pytest.approx(0.5)


def test_while_the_circuit_is_open_batches_are_given_up_at_once(
    http: HttpOutput, server: Server, stop: FakeStop, told: list[str]
) -> None:
    server.answers = [(503, {})] * 5
    http.write(["1", "2", "3"] * 3)
    assert len(server.bodies) == 5
    assert (http.tally.sent, http.tally.failed) == (0, 9)
    assert len(told) == 1
    stop.now += 5
    http.write(["1", "2", "3"])
    assert http.tally.sent == 3
    assert len(told) == 2


def test_lines_that_the_server_refuses_are_failed_and_told_once(
    http: HttpOutput, server: Server, told: list[str]
) -> None:
    server.answers = [(200, {"accepted": 2, "rejected": [{"line": 2, "reason": "no"}]}), (400, {"error": {}})]
    http.write(["1", "2", "3"] * 2)
    assert http.tally == Tally(sent=2, failed=4)
    assert len(server.bodies) == 2, "what is wrong is not sent again"
    assert len(told) == 1
    assert "1 lines refused: 200" in told[0]
