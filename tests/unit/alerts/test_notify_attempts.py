"""Quick retries and the breaker; the pauses between them are stamina's and left out here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from logstreamd.alerts.notify.attempts import Attempts
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.metrics import Metrics


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


class Receiver:
    """Fails as it is told, and counts."""

    def __init__(self, *problems: Exception | None) -> None:
        self.metrics = Metrics(version="test", wire="python")
        self.metrics.watch_notifier("ops", waiting=lambda: 0)
        self.attempts = Attempts("ops", self.metrics)
        self._problems = list(problems)
        self.asked = 0

    async def _send(self) -> None:
        self.asked += 1
        problem = self._problems.pop(0) if len(self._problems) > 1 else self._problems[0]
        if problem is not None:
            raise problem

    async def deliver(self) -> None:
        await self.attempts.run(self._send)

    def count(self, outcome: str) -> float | None:
        labels = {"notifier": "ops", "outcome": outcome}
        return self.metrics.registry.get_sample_value("logstreamd_alert_deliveries_total", labels)


async def test_a_hiccup_is_over_with_the_next_attempt() -> None:
    receiver = Receiver(UnavailableError("HTTP 500"), UnavailableError("HTTP 502"), None)
    await receiver.deliver()
    assert (receiver.asked, receiver.count("failed"), receiver.count("delivered")) == (3, 2, 1)


async def test_after_three_attempts_it_is_the_mailboxs_turn() -> None:
    receiver = Receiver(UnavailableError("HTTP 500"))
    with pytest.raises(UnavailableError, match="HTTP 500"):
        await receiver.deliver()
    assert receiver.asked == 3


async def test_no_is_not_asked_twice() -> None:
    receiver = Receiver(RejectedError("HTTP 400"))
    with pytest.raises(RejectedError):
        await receiver.deliver()
    assert (receiver.asked, receiver.count("rejected")) == (1, 1)


async def test_a_receiver_that_asks_for_a_pause_gets_it() -> None:
    receiver = Receiver(UnavailableError("HTTP 429", retry_after_seconds=60))
    with pytest.raises(UnavailableError) as problem:
        await receiver.deliver()
    assert (receiver.asked, problem.value.retry_after_seconds) == (1, 60)


async def test_after_six_failures_the_receiver_is_left_alone() -> None:
    receiver = Receiver(UnavailableError("HTTP 500"))
    for _ in range(2):
        with pytest.raises(UnavailableError, match="HTTP 500"):
            await receiver.deliver()
    with pytest.raises(UnavailableError, match="left alone after failures") as problem:
        await receiver.deliver()
    assert receiver.asked == 6
    assert problem.value.retry_after_seconds > 0


async def test_rejections_do_not_open_the_breaker() -> None:
    receiver = Receiver(*[RejectedError("HTTP 400")] * 10, None)
    for _ in range(10):
        with pytest.raises(RejectedError):
            await receiver.deliver()
    await receiver.deliver()
    assert receiver.asked == 11


async def test_a_defect_gets_out() -> None:
    with pytest.raises(ZeroDivisionError):
        await Receiver(ZeroDivisionError()).deliver()
