"""Clients of the live tail, as many as wanted in one process, that read and throw away.

Run as a program: ``python -m tests.bench.tail_farm HOST PORT CLIENTS FILTER`` opens the streams, prints ``ready`` when
all of them have begun, and reads until it is killed.
"""

from __future__ import annotations

import selectors
import socket
import sys
from urllib.parse import quote

from tests.acceptance.daemon_process import PROJECT
from tests.bench.waiting_process import WaitingProcess

__all__ = ["TailFarm"]

_BUFFER_BYTES = 1 << 18


class TailFarm(WaitingProcess):
    """Clients that follow for as long as the context lasts.

    Args:
        to: host and port of the daemon's HTTP side.
        clients: how many.
        filter_text: what they follow.
    """

    def __init__(self, to: tuple[str, int], clients: int, filter_text: str) -> None:
        arguments = [to[0], str(to[1]), str(clients), filter_text]
        super().__init__([sys.executable, "-m", "tests.bench.tail_farm", *arguments], cwd=PROJECT)


def _follow(host: str, port: int, filter_text: str) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=30)
    request = f"GET /api/v1/logs/tail?q={quote(filter_text)} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    connection.sendall(request.encode())
    head = connection.recv(_BUFFER_BYTES)
    if not head.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"no stream: {head[:200]!r}")
    connection.setblocking(False)
    return connection


def main() -> None:
    """Read until killed."""
    host, port, clients, filter_text = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    selector = selectors.DefaultSelector()
    for _ in range(clients):
        selector.register(_follow(host, port, filter_text), selectors.EVENT_READ)
    print("ready", flush=True)
    buffer = bytearray(_BUFFER_BYTES)
    while selector.get_map():
        for key, _ in selector.select():
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            if not connection.recv_into(buffer):
                selector.unregister(connection)


if __name__ == "__main__":
    main()
