"""Senders that number what they send and keep a journal of it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.acceptance.daemon_process import wait_for
from tests.acceptance.senders import Address
from tests.chaos.messages import Stamp, frame, stamped

__all__ = ["HttpSender", "Journal", "TcpSender", "post", "send_datagrams", "send_tcp"]

_RETRY_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0
_TURN_SECONDS = 0.01


@dataclass
class Journal:
    """What one sender did.

    Attributes:
        sent: the numbers 0..sent-1 were handed to the network, as far as it took them.
        streams: for a stream sender, the numbers that went over each of its connections.
        acknowledged: the numbers the daemon has to answer for.
    """

    sender: str
    sent: int = 0
    streams: list[range] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)

    def acknowledge_all(self) -> None:
        """Have the daemon answer for everything: it read the stream to its end."""
        self.acknowledged = set(range(self.sent))

    def holes(self, stored: set[int]) -> list[int]:
        """Return what is missing from the middle of a connection: only its end may be lost."""
        missing = []
        for stream in self.streams:
            there = [number for number in stream if number in stored]
            if there:
                missing += sorted(set(range(stream.start, there[-1])) - stored)
        return missing

    def tails(self, stored: set[int]) -> list[int]:
        """Return how many messages each connection lost at its end."""
        return [len(set(stream) - stored) for stream in self.streams]


class _Sender(threading.Thread):
    """A thread that sends until it is told to stop."""

    def __init__(self, run: str, sender: str) -> None:
        super().__init__(name=f"sender {sender}", daemon=True)
        self.run_id = run
        self.journal = Journal(sender)
        self._halt = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            self.send()
        except BaseException as problem:  # told to the test by finish()
            self.problem = problem
            raise

    def send(self) -> None:
        raise NotImplementedError

    def stamp(self, number: int) -> Stamp:
        return Stamp(self.run_id, self.journal.sender, number)

    def wait_sent(self, count: int, *, seconds: float = 60) -> None:
        """Wait until so many messages are on their way."""
        wait_for(
            f"{count} messages of {self.name}", lambda: self.journal.sent >= count or self.problem, seconds=seconds
        )

    def finish(self) -> Journal:
        """Stop sending and return the journal."""
        self._halt.set()
        self.join(_PATIENCE_SECONDS + 10)
        assert not self.is_alive(), f"{self.name} hangs"
        assert self.problem is None, self.problem
        return self.journal


class TcpSender(_Sender):
    """Sends newline-framed messages over one connection, and over the next when that one breaks; repeats nothing.

    Args:
        to: where.
        rate: messages a second; 0 for as fast as the daemon reads.
        padding: bytes of padding per message.
        limit: stop by oneself after so many; 0 for not.
    """

    def __init__(
        self, to: Address, run: str, sender: str, *, rate: int = 5_000, padding: int = 0, limit: int = 0
    ) -> None:
        super().__init__(run, sender)
        self._to = to
        self._burst = max(1, round(rate * _TURN_SECONDS)) if rate else 500
        self._pause = self._burst / rate if rate else 0.0
        self._padding = padding
        self._limit = limit

    @property
    def _done(self) -> bool:
        return self._halt.is_set() or (self._limit > 0 and self.journal.sent >= self._limit)

    def send(self) -> None:
        while not self._done:
            connection = self._connect()
            if connection is None:
                continue
            first = self.journal.sent
            with connection:
                try:
                    self._send_over(connection)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):  # the daemon closes when it has read everything
                        pass
                except OSError:
                    pass
            self.journal.streams.append(range(first, self.journal.sent))

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection(self._to, timeout=_PATIENCE_SECONDS)
        except OSError:
            time.sleep(_RETRY_SECONDS)
            return None

    def _send_over(self, connection: socket.socket) -> None:
        while not self._done:
            first = self.journal.sent
            numbers = range(first, first + self._burst)
            data = b"".join(frame(self.stamp(number), self._padding) + b"\n" for number in numbers)
            self.journal.sent = numbers.stop
            connection.sendall(data)
            if self._pause:
                time.sleep(self._pause)


class HttpSender(_Sender):
    """Posts batches; with keys it repeats a batch until it is answered, without it goes on to the next.

    Args:
        to: where.
        batch: logs per request.
        keys: send an ``Idempotency-Key`` and repeat what was not answered with 200.
        pause_seconds: between two requests.
    """

    def __init__(
        self, to: Address, run: str, sender: str, *, batch: int = 50, keys: bool = True, pause_seconds: float = 0.0
    ) -> None:
        super().__init__(run, sender)
        self._to = to
        self._batch = batch
        self._keys = keys
        self._pause_seconds = pause_seconds
        self.refused = 0

    def send(self) -> None:
        while not self._halt.is_set():
            first = self.journal.sent
            numbers = range(first, first + self._batch)
            body = "\n".join(json.dumps({"service": "chaos", "message": stamped(self.stamp(n))}) for n in numbers)
            self.journal.sent = numbers.stop
            if self._post(body.encode(), f"{self.run_id}-{self.journal.sender}-{first}"):
                self.journal.acknowledged.update(numbers)
            time.sleep(self._pause_seconds)

    def _post(self, body: bytes, key: str) -> bool:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if post(self._to, body, key=key if self._keys else None)[0] == 200:
                    return True
                self.refused += 1
                time.sleep(_RETRY_SECONDS)
            except (OSError, HTTPException):
                time.sleep(_RETRY_SECONDS)
            if not self._keys:
                return False
        raise TimeoutError(f"{self.name}: no answer within {_PATIENCE_SECONDS} s")


def post(to: Address, body: bytes, *, key: str | None = None) -> tuple[int, dict[str, Any]]:
    """Post JSON lines to the ingest endpoint; return status and answer."""
    headers: Mapping[str, str] = {"Content-Type": "application/x-ndjson"} | ({"Idempotency-Key": key} if key else {})
    connection = HTTPConnection(*to, timeout=20)
    try:
        connection.request("POST", "/api/v1/logs", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def send_tcp(to: Address, run: str, sender: str, count: int, *, first: int = 0, padding: int = 0) -> Journal:
    """Send so many messages over one connection and wait until they are read; the daemon has to answer for all."""
    journal = Journal(sender, sent=first + count, streams=[range(first, first + count)])
    with socket.create_connection(to, timeout=_PATIENCE_SECONDS) as connection:
        for start in range(first, first + count, 500):
            numbers = range(start, min(start + 500, first + count))
            connection.sendall(b"".join(frame(Stamp(run, sender, n), padding) + b"\n" for n in numbers))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    journal.acknowledged = set(range(first, first + count))
    return journal


def send_datagrams(to: Address, run: str, sender: str, count: int, *, rate: int = 0, padding: int = 0) -> Journal:
    """Send so many datagrams, at most so many a second (0: as fast as the kernel takes them)."""
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
        outgoing.connect(to)
        for number in range(count):
            outgoing.send(frame(Stamp(run, sender, number), padding))
            if rate and number % 100 == 99:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
    return Journal(sender, sent=count)
