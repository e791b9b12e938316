"""JSON lines in batches over HTTP, with retries and a circuit breaker.

A batch is sent when it is full or a second old. Each has an ``Idempotency-Key``, so one that is sent again because its
answer got lost is stored once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_hex

from generator.breaker import CircuitBreaker
from generator.http_client import Answer, HttpClient, UnreachableError
from generator.outputs.output import Tally
from generator.stop import Stop

__all__ = ["HttpOutput"]

_MAX_AGE_SECONDS = 1.0
_MAX_TOLD_BYTES = 200  # of what the server said, on the terminal
# The pauses between attempts: half a second in all, so that the schedule can make up for it.
_RETRY_SECONDS = (0.05, 0.15, 0.3)


class HttpOutput:
    """Sends batches to one server.

    Args:
        batch_lines: how many lines are a full batch.
        stop: ends the pauses between attempts.
        breaker: while it is open batches are given up at once.
        clock: seconds, monotonic.
        tell: is told in one line what the server refuses.
    """

    def __init__(
        self,
        client: HttpClient,
        *,
        batch_lines: int,
        stop: Stop,
        breaker: CircuitBreaker,
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self.name = f"http {client.url}"
        self.tally = Tally()
        self._client = client
        self._batch_lines = batch_lines
        self._stop = stop
        self._breaker = breaker
        self._clock = clock
        self._tell = tell
        self._run = token_hex(8)
        self._batches = 0
        self._waiting: list[str] = []
        self._oldest_at = 0.0
        self._refusal_told = False

    def write(self, lines: Sequence[str]) -> None:
        """Gather lines and send the batches that are full."""
        if not self._waiting:
            self._oldest_at = self._clock()
        self._waiting += lines
        while len(self._waiting) >= self._batch_lines:
            self._send(self._batch_lines)

    def poll(self) -> None:
        """Send a batch that is old."""
        if self._waiting and self._clock() - self._oldest_at >= _MAX_AGE_SECONDS:
            self._send(len(self._waiting))

    def close(self) -> None:
        """Send what is left and close the connection."""
        if self._waiting:
            self._send(len(self._waiting))
        self._client.close()

    def _send(self, count: int) -> None:
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._oldest_at = self._clock()
        self._batches += 1
        answer = self._deliver("\n".join(batch).encode(), f"{self._run}-{self._batches}", len(batch))
        accepted = 0 if answer is None else self._accepted(answer, len(batch))
        self.tally.sent += accepted
        self.tally.failed += len(batch) - accepted

    def _deliver(self, body: bytes, key: str, count: int) -> Answer | None:
        """Return the server's last word on a batch; None when there was none."""
        for attempt, pause in enumerate((*_RETRY_SECONDS, None)):
            if not self._breaker.allows():
                return None
            self.tally.retried += count if attempt else 0
            answer = self._attempt(body, key)
            if answer is not None:
                return answer
            if pause is None or self._stop.wait(pause):
                return None
        return None

    def _attempt(self, body: bytes, key: str) -> Answer | None:
        """Send a batch; return None when that is worth another attempt."""
        try:
            answer = self._client.post_lines(body, key=key)
        except UnreachableError as problem:
            self._breaker.failed(str(problem))
            return None
        if answer.is_retryable:
            self._breaker.failed(f"status {answer.status}")
            return None
        self._breaker.succeeded()
        return answer

    def _accepted(self, answer: Answer, count: int) -> int:
        """Return how many lines of a batch the server took."""
        document = answer.document()
        accepted = document.get("accepted", count) if answer.status < 300 else document.get("accepted", 0)
        if accepted != count and not self._refusal_told:
            self._refusal_told = True
            said = answer.body[:_MAX_TOLD_BYTES].decode(errors="replace")
            self._tell(f"{self.name}: {count - accepted} lines refused: {answer.status} {said!r}")
        return int(accepted)
