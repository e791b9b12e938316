"""``python -m tests.bench.http_sender``: sends a file of JSON lines in batch requests over several connections.

Every request is made beforehand. It has everything ready before it says ``ready``, starts at a line from its standard
input, and ends with the seconds it took until the last answer. A request the daemon has no room for is sent again.
"""

from __future__ import annotations

import argparse
import queue
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path

_LINES_PER_REQUEST = 5_000  # about 1 MiB
_CONNECTIONS = 4
_BUSY = (429, 503)
_BUSY_SECONDS = 0.05
_HEADERS = {"Content-Type": "application/x-ndjson"}


def _bodies(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        while body := b"".join(islice(lines, _LINES_PER_REQUEST)):
            yield body


def _send(host: str, port: int, bodies: queue.SimpleQueue[bytes]) -> None:
    connection = HTTPConnection(host, port, timeout=60)
    while not bodies.empty():
        try:
            body = bodies.get_nowait()
        except queue.Empty:  # another connection was quicker
            return
        while (status := _post(connection, body)) in _BUSY:
            time.sleep(_BUSY_SECONDS)
        if status != 200:
            raise RuntimeError(f"answered with {status}")


def _post(connection: HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/api/v1/logs", body, _HEADERS)
    response = connection.getresponse()
    response.read()
    return response.status


def main() -> None:
    """Send everything when told to."""
    parser = argparse.ArgumentParser(prog="tests.bench.http_sender")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    bodies: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in _bodies(arguments.file):
        bodies.put(body)
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    with ThreadPoolExecutor(_CONNECTIONS) as connections:
        sent = [connections.submit(_send, arguments.host, arguments.port, bodies) for _ in range(_CONNECTIONS)]
    for one in sent:
        one.result()
    print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
