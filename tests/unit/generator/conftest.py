"""Time that passes when it is told to, and what was told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from generator.breaker import CircuitBreaker
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
