"""Every output against the real thing: files, sockets, servers."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from generator.breaker import CircuitBreaker
from generator.http_client import HttpClient
from generator.outputs.console import ConsoleOutput
from generator.outputs.file import FileOutput
from generator.outputs.http import HttpOutput
from generator.outputs.output import Tally
from generator.outputs.tcp import TcpOutput
from generator.outputs.udp import UdpOutput
from tests.unit.generator.fake_time import FakeStop


@pytest.fixture
def stop() -> Iterator[FakeStop]:
    stop = FakeStop()
    yield stop
    stop.close()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def breaker(stop: FakeStop, told: list[str]) -> CircuitBreaker:
    return CircuitBreaker(failures_to_open=5, open_seconds=5, clock=stop.clock, tell=told.append)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# breaker


def test_the_breaker_opens_after_failures_in_a_row_and_one_attempt_closes_it(
    breaker: CircuitBreaker, stop: FakeStop, told: list[str]
) -> None:
    for _ in range(4):
        breaker.failed("refused")
    breaker.succeeded()
    for _ in range(5):
        assert breaker.allows()
        breaker.failed("refused")
    assert (breaker.is_open, breaker.allows(), breaker.openings) == (True, False, 1)
    stop.now += 5
    assert breaker.allows()
    breaker.failed("refused")
    assert not breaker.allows(), "one failure is enough to open it again"
    stop.now += 5
    breaker.succeeded()
    assert (breaker.is_open, breaker.allows()) == (False, True)
    assert told == ["circuit open, tried again every 5 s: refused", "circuit closed: the receiver answers again"]


# files


def test_a_file_is_appended_to_and_has_one_header(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "new" / "app.csv"
    for lines in (["1", "2"], ["3"]):
        output = FileOutput(path, header="number", tell=told.append)
        output.write(lines)
        output.close()
    assert path.read_text() == "number\n1\n2\n3\n"


def test_a_renamed_file_is_followed_until_it_is_opened_anew(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "app.log"
    output = FileOutput(path, header="number", tell=told.append)
    output.write(["1"])
    path.rename(tmp_path / "app.log.1")
    output.write(["2"])
    output.request_reopen()
    output.poll()
    output.write(["3"])
    output.close()
    assert (tmp_path / "app.log.1").read_text() == "number\n1\n2\n"
    assert path.read_text() == "number\n3\n"
    assert output.tally == Tally(sent=3)


def test_a_truncated_file_goes_on_at_its_new_end(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "app.log"
    output = FileOutput(path, header=None, tell=told.append)
    output.write(["1"])
    os.truncate(path, 0)
    output.write(["2"])
    output.close()
    assert path.read_text() == "2\n"


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let writes fail with EFBIG, as a full disk does with ENOSPC; Python ignores SIGXFSZ."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_once_and_every_line_is_sent_or_failed(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "app.log"
    output = FileOutput(path, header=None, tell=told.append)
    with files_no_longer_than(10):
        output.write(["first", "second", "third"])
        output.write(["fourth"])
    assert output.tally == Tally(sent=1, failed=3)
    output.write(["fifth", "sixth"])
    output.close()
    assert path.read_text() == "first\nseco\nfifth\nsixth\n", "half a line gets its end"
    assert output.tally == Tally(sent=3, failed=3)
    assert [text.removeprefix(output.name) for text in told] == [
        ": File too large; lines are given up until it can be written again",
        ": written again",
    ]


# console


def test_the_console_gets_a_header_once_and_a_reader_that_left_ends_the_run(stop: FakeStop) -> None:
    read_end, write_end = os.pipe()
    output = ConsoleOutput(write_end, stop=stop, header="number")
    output.write(["1"])
    output.write(["2"])
    assert os.read(read_end, 100) == b"number\n1\n2\n"
    assert not stop.requested
    os.close(read_end)
    output.write(["3"])
    output.write(["4", "5"])
    os.close(write_end)
    assert stop.requested
    assert output.tally == Tally(sent=2, failed=3)


def test_a_reader_that_reads_no_more_does_not_keep_the_process_from_ending(stop: FakeStop) -> None:
    read_end, write_end = os.pipe()
    output = ConsoleOutput(write_end, stop=stop, header="number")
    stop.request()
    output.write(["x" * 99] * 10_000)
    read = os.read(read_end, 1 << 20)
    os.close(read_end)
    os.close(write_end)
    assert output.tally == Tally(sent=read.count(b"\n") - 1, failed=10_000 - read.count(b"\n") + 1)
    assert output.tally.sent > 0


# UDP


def test_each_line_is_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        output = UdpOutput(*receiver.getsockname())
        output.write(["one", "zwei é"])
        assert [receiver.recv(100), receiver.recv(100)] == [b"one", "zwei é".encode()]
        output.write(["x" * 70_000, "three"])
        assert receiver.recv(100) == b"three"
        output.close()
    assert output.tally == Tally(sent=3, failed=1)


def test_what_the_kernel_says_was_refused_is_counted_as_failed() -> None:
    output = UdpOutput("127.0.0.1", closed_port())
    for _ in range(10):
        output.write(["lost"])
    output.close()
    tally = output.tally
    assert tally.sent + tally.failed == 10
    assert tally.failed > 0
    assert tally.retried > 0


# TCP


def read_all(server: socket.socket) -> bytes:
    connection, _ = server.accept()
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(
    ("framing", "expected"),
    [("newline", "one\nzwei é\n".encode()), ("octet-counting", "3 one7 zwei é".encode())],
)
def test_lines_are_framed(framing: str, expected: bytes, stop: FakeStop, breaker: CircuitBreaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        output = TcpOutput(*server.getsockname(), framing=framing, stop=stop, breaker=breaker)
        output.write(["one", "zwei é"])
        closing = threading.Thread(target=output.close)
        closing.start()
        assert read_all(server) == expected
        closing.join()
    assert output.tally == Tally(sent=2)


def test_what_the_kernel_had_not_taken_goes_over_the_next_connection(stop: FakeStop, breaker: CircuitBreaker) -> None:
    lines = [f"{number:06} {'x' * 1_000}" for number in range(20_000)]
    received: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        received.append(connection.recv(100_000))
        connection.close()  # with unread bytes, so the sender sees a reset
        received.append(read_all(server))

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, args=(server,))
        serving.start()
        output = TcpOutput(*server.getsockname(), framing="newline", stop=stop, breaker=breaker)
        output.write(lines)
        output.close()
        serving.join()
    first = received[1].split(b"\n")[0].decode()
    assert first in lines, "a line that was cut off comes again whole"
    assert received[1].decode() == "\n".join(lines[lines.index(first) :]) + "\n"
    assert output.tally.sent == len(lines)
    assert output.tally.retried == len(lines) - lines.index(first)


def test_lines_are_given_up_while_nothing_listens_and_the_pauses_are_short(
    stop: FakeStop, breaker: CircuitBreaker, told: list[str]
) -> None:
    output = TcpOutput("127.0.0.1", closed_port(), framing="newline", stop=stop, breaker=breaker)
    for _ in range(3):
        output.write(["lost"])
    output.close()
    assert output.tally == Tally(failed=3)
    assert len(told) == 1
    assert sum(stop.slept) < 3


def test_a_receiver_that_reads_nothing_does_not_keep_the_process_from_ending(
    stop: FakeStop, breaker: CircuitBreaker
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        output = TcpOutput(*server.getsockname(), framing="newline", stop=stop, breaker=breaker)
        stop.request()
        output.write(["x" * 10_000] * 3_000)
        output.close()
    assert output.tally.sent + output.tally.failed == 3_000
    assert output.tally.failed > 0


def test_a_receiver_that_breaks_every_connection_is_not_tried_for_ever(stop: FakeStop, breaker: CircuitBreaker) -> None:
    connections = 0

    def serve(server: socket.socket) -> None:
        nonlocal connections
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                connections += 1
                connection.recv(10)
                connection.close()

    server = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=serve, args=(server,))
    serving.start()
    output = TcpOutput(*server.getsockname(), framing="newline", stop=stop, breaker=breaker)
    output.write(["x" * 10_000] * 3_000)
    output.close()
    server.shutdown(socket.SHUT_RDWR)
    serving.join()
    server.close()
    assert connections == 3
    assert output.tally.sent + output.tally.failed == 3_000


# HTTP


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
