"""UDP and TCP against real sockets."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from generator.breaker import CircuitBreaker
from generator.outputs.output import Tally
from generator.outputs.tcp import TcpOutput
from generator.outputs.udp import UdpOutput
from tests.unit.generator.fake_time import FakeStop


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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
