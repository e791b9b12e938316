from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from logstreamd.daemon.loop_lag import sample_loop_lag
from logstreamd.metrics import Metrics


class StoppedError(Exception):
    """The test has seen enough."""


class LateLoop:
    """Wakes its sleepers so many seconds late."""

    def __init__(self, *late: float) -> None:
        self._late = list(late)
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        if not self._late:
            raise StoppedError
        self.now += seconds + self._late.pop(0)


async def test_the_lag_is_what_a_sleep_takes_longer_than_asked_for() -> None:
    loop = LateLoop(0.0, 1.5, -0.01)
    seen: list[float] = []
    with pytest.raises(StoppedError):
        await sample_loop_lag(seen.append, interval_seconds=0.25, monotonic=lambda: loop.now, sleep=loop.sleep)
    assert seen == [0.0, 1.5, 0.0]


async def test_lags_are_a_histogram_that_tells_a_hiccup_from_a_stall() -> None:
    metrics = Metrics(version="test", wire="python")
    loop = LateLoop(0.0, 0.02, 3.0)
    with pytest.raises(StoppedError):
        await sample_loop_lag(
            metrics.event_loop_lag_seconds.observe, monotonic=lambda: loop.now, sleep=loop.sleep, interval_seconds=0.25
        )
    assert bucket(metrics.registry, "0.01") == 1
    assert bucket(metrics.registry, "0.05") == 2
    assert bucket(metrics.registry, "2.5") == 2
    assert bucket(metrics.registry, "+Inf") == 3


def bucket(registry: CollectorRegistry, le: str) -> float | None:
    return registry.get_sample_value("logstreamd_event_loop_lag_seconds_bucket", {"le": le})
