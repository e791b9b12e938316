"""Edge nodes: each polls its trucks, and forwards what they measure through a circuit breaker and a buffer.

Every line goes through the buffer, so there is one order and one way, with the receiver there or away. Ids correlate:

============== ==================================================================
``machine_id`` the truck, or the node for its own lines
``sample_id``  one line: the machine and the number of the line on its node
``request_id`` one round of polling: the same on all lines of that round
============== ==================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from generator.breaker import CircuitBreaker
from generator.http_client import HttpClient, UnreachableError
from generator.identifiers import Identifiers
from generator.scenarios.fleet.buffer import Buffer
from generator.scenarios.fleet.machines import Truck

__all__ = ["Delivery", "EdgeNode"]

_BATCH_LINES = 500


@dataclass(slots=True)
class Delivery:
    """What became of the lines of a node in this run.

    Attributes:
        delivered: accepted by the receiver, those that an earlier run left included.
        refused: answered, and not accepted.
        retried: sent again, once for each time.
        rounds_held_back: not polled, because the buffer was full.
    """

    delivered: int = 0
    refused: int = 0
    retried: int = 0
    rounds_held_back: int = 0


class EdgeNode:
    """Polls trucks and forwards their telemetry.

    Args:
        machine_id: its name, as in ``edge-1``.
        client: talks to the receiver.
        make_breaker: is given what to call with a line when the circuit opens or closes.
        now: the time for time stamps.
    """

    def __init__(
        self,
        machine_id: str,
        trucks: Sequence[Truck],
        *,
        buffer: Buffer,
        client: HttpClient,
        make_breaker: Callable[[Callable[[str], None]], CircuitBreaker],
        identifiers: Identifiers,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.machine_id = machine_id
        self.delivery = Delivery()
        self.buffer = buffer
        self._trucks = trucks
        self._client = client
        self._events: list[str] = []
        self._breaker = make_breaker(self._events.append)
        self._identifiers = identifiers
        self._now = now
        self._failed_key = ""

    def poll(self, seconds: float) -> None:
        """Ask every truck, unless there is no room for the answers.

        Args:
            seconds: since the round before.
        """
        request_id = self._identifiers.request()
        lines = [(truck.machine_id, "truck-telemetry", truck.measure(seconds)) for truck in self._trucks]
        lines += [(self.machine_id, "edge-node", {"level": "WARNING", "message": event}) for event in self._events]
        asked = f"polled {len(self._trucks)} trucks, {len(self.buffer)} lines wait"
        lines.append((self.machine_id, "edge-node", {"level": "DEBUG", "message": asked}))
        first = self.buffer.next_number
        if self._keep([self._line(first + place, request_id, *line) for place, line in enumerate(lines)]):
            self._events.clear()
        else:
            self.delivery.rounds_held_back += 1

    def _keep(self, lines: Sequence[str]) -> bool:
        """Put lines into the buffer; a disk that takes none is the same as a buffer that is full."""
        try:
            return self.buffer.try_append(lines)
        except OSError as problem:
            if str(problem) not in self._events:
                self._events.append(str(problem))
            return False

    def _line(self, number: int, request_id: str, machine_id: str, service: str, fields: dict[str, Any]) -> str:
        document = {
            "timestamp": self._now().isoformat(),
            "service": service,
            "host": machine_id,
            "machine_id": machine_id,
            "edge_id": self.machine_id,
            "sample_id": f"{machine_id}-{number:08}",
            "request_id": request_id,
            **fields,
        }
        return json.dumps(document, ensure_ascii=False)

    def forward(self) -> None:
        """Deliver what waits, as far as the receiver takes it."""
        while self._breaker.allows():
            batch = self.buffer.next_batch(_BATCH_LINES)
            if batch is None:
                return
            self.delivery.retried += len(batch.lines) if batch.key == self._failed_key else 0
            accepted = self._send(batch.key, batch.lines)
            if accepted is None:
                self._failed_key = batch.key
                return
            self.buffer.note_delivered(batch.last)
            self.delivery.delivered += accepted
            self.delivery.refused += len(batch.lines) - accepted

    def _send(self, key: str, lines: Sequence[str]) -> int | None:
        """Return how many lines the receiver accepted; None when they have to be sent again."""
        try:
            answer = self._client.post_lines("\n".join(lines).encode(), key=key)
        except UnreachableError as problem:
            self._breaker.failed(str(problem))
            return None
        if answer.status >= 300:  # also what seems final: a wrong address is put right while the lines wait
            self._breaker.failed(f"status {answer.status}")
            return None
        self._breaker.succeeded()
        return int(answer.document().get("accepted", len(lines)))

    def close(self) -> None:
        """Let go of the connection and the buffer."""
        self._client.close()
        self.buffer.close()
