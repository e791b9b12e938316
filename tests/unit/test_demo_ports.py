"""The ports of the demo."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import pytest

from demo.processes import DemoError, free_port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_for_tcp_or_udp_is_passed_over(kind: socket.SocketKind) -> None:
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port(port) < port + 50


def test_fifty_taken_ports_in_a_row_are_a_clear_error() -> None:
    with ExitStack() as stack:
        for port in range(20_000, 20_050):
            with suppress(OSError):  # taken by somebody else, which is as good
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(DemoError, match=r"20000 to 20049 of 127\.0\.0\.1 are all taken"):
            free_port(20_000)
