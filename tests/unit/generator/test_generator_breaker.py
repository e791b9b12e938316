from __future__ import annotations

from generator.breaker import CircuitBreaker
from tests.unit.generator.fake_time import FakeStop


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
