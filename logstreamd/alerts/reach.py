"""How far back rules have asked lately."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from logstreamd.alerts.measure import Measurement
from logstreamd.query.scope import EARLIEST

__all__ = ["Reach"]

_FORGET_SECONDS = 600.0  # a rule that asks no more is forgotten after one to two times as long
_NOTHING = timedelta()


class Reach:
    """Remembers how far back from the newest end windows lie, so that every look sees as much as the one before.

    Args:
        clock: seconds that only grow.

    Attributes:
        end: the newest end.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.end = EARLIEST
        self._clock = clock
        self._spans = [_NOTHING, _NOTHING]  # of this stretch of time and of the one before
        self._counted_spans = [_NOTHING, _NOTHING]
        self._turned_at = clock()

    @property
    def start(self) -> datetime:
        """Nothing before is asked for."""
        return self._back(self._spans)

    @property
    def counts_start(self) -> datetime:
        """Nothing before is asked of the counts."""
        return self._back(self._counted_spans)

    def include(self, measurement: Measurement, *, counted: bool) -> None:
        """Take note of a question."""
        if self._clock() - self._turned_at > _FORGET_SECONDS:
            self._spans, self._counted_spans = [_NOTHING, self._spans[0]], [_NOTHING, self._counted_spans[0]]
            self._turned_at = self._clock()
        if measurement.end > self.end:
            # What was asked before lies further back from here, but is not asked again.
            self.end = measurement.end
        span = self.end - measurement.earliest
        self._spans[0] = max(self._spans[0], span)
        if counted:
            self._counted_spans[0] = max(self._counted_spans[0], span)

    def _back(self, spans: list[timedelta]) -> datetime:
        return max(EARLIEST, self.end - max(spans))
