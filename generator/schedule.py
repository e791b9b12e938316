"""When each line is due.

Line ``n`` is due when the rates of the seconds so far add up to ``n``. That is decided by the start and the rates
alone, never by when a line was really made: a late wake-up makes the next batch larger, and nothing can drift.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

__all__ = ["Schedule"]


class Schedule:
    """Hands out the times at which lines are due, in seconds since the start.

    Args:
        next_rate: the rate of the next second, asked once for each second, in order.
    """

    def __init__(self, next_rate: Callable[[], float]) -> None:
        self._next_rate = next_rate
        self._second = 0
        self._rate = next_rate()
        # Lines are numbered anew in each second; the first one's share of a line that is left of the second before.
        self._phase = 0.0
        self._line = 0

    @property
    def next_at(self) -> float:
        """When the next line is due."""
        while not self._lines_left():
            self._turn_second()
        return self._second + (self._line + self._phase) / self._rate

    def due(self, now: float, most: int) -> list[float]:
        """Take the lines that are due.

        Args:
            now: seconds since the start.
            most: how many to take at most, the oldest first.

        Returns:
            When each was due.
        """
        times: list[float] = []
        while len(times) < most and self.next_at <= now:
            first, end = self._line, self._end_of_due(now, most - len(times))
            second, phase, rate = self._second, self._phase, self._rate
            times += [second + (line + phase) / rate for line in range(first, end)]
            self._line = end
        return times

    def give_up_before(self, time: float) -> int:
        """Skip the lines that were due before a time; return how many."""
        given_up = 0
        while self.next_at < time:
            first, self._line = self._line, self._end_of_due(time, self._lines_left())
            given_up += self._line - first
        return given_up

    def _end_of_due(self, now: float, most: int) -> int:
        """Return the number after the last line of this second that is due; there is at least one."""
        due = floor((now - self._second) * self._rate - self._phase) + 1
        return min(max(due, self._line + 1), self._line + most, self._line + self._lines_left())

    def _lines_left(self) -> int:
        return max(0, ceil(self._rate - self._phase) - self._line)

    def _turn_second(self) -> None:
        whole = ceil(self._rate - self._phase) if self._rate > self._phase else 0
        self._phase += whole - self._rate
        self._line = 0
        self._second += 1
        self._rate = self._next_rate()
