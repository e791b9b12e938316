"""The loop: sleep until lines are due, make them, send them.

It is the only writer, so a slow output holds back everything. What that does to the rate is made up for as soon as the
output takes lines again, if they are not older than :data:`CATCH_UP_SECONDS`; older ones are never made, and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter

from generator.bursts import Bursts
from generator.channel import Channel
from generator.progress import Books, ProgressLine
from generator.schedule import Schedule
from generator.source import Source
from generator.stop import Stop
from generator.wall_time import WallTime

__all__ = ["CATCH_UP_SECONDS", "Run"]

CATCH_UP_SECONDS = 10.0
"""So the rate is right over ten seconds if at all possible, and a receiver that was away for an hour is not flooded."""

_TICK_SECONDS = 0.01  # lines that are due within one are a batch: 1,000 at 100,000 a second
_IDLE_SECONDS = 0.25  # how often outputs are polled when no line is due
_MAX_BATCH = 5_000  # so that a catch-up looks at the clock, and at signals, some twenty times a second


class Run:
    """Makes lines until it is told to stop, or has made enough.

    Args:
        bursts: decides the rate.
        clock: seconds, monotonic.
        count: end after so many lines.
        duration: end after so many seconds.
        progress: shown while it runs.
    """

    def __init__(
        self,
        source: Source,
        bursts: Bursts,
        channels: Sequence[Channel],
        *,
        clock: Callable[[], float],
        wall: WallTime,
        stop: Stop,
        count: int | None,
        duration: float | None,
        progress: ProgressLine | None,
    ) -> None:
        self._source = source
        self._bursts = bursts
        self._schedule = Schedule(bursts.next_rate)
        self._channels = channels
        self._clock = clock
        self._wall = wall
        self._stop = stop
        self._count = count
        # A line that is due at the very end is the next run's.
        self._end = math.inf if duration is None else math.nextafter(duration, 0)
        self._progress = progress
        self.books = Books()

    def run(self) -> None:
        """Make lines; the outputs are left open."""
        started_at = self._clock()
        while not self._stop.requested:
            elapsed = self._clock() - started_at
            self._make(min(elapsed, self._end))
            for channel in self._channels:
                channel.poll()
            self.books.elapsed_seconds = self._clock() - started_at
            if self._progress is not None:
                self._progress.update(self.books)
            if self._is_done():
                break
            self._sleep(started_at)

    def _make(self, now: float) -> None:
        """Make the lines that are due, at most one batch."""
        self.books.given_up += self._schedule.give_up_before(now - CATCH_UP_SECONDS)
        room = _MAX_BATCH if self._count is None else min(_MAX_BATCH, self._count - self.books.made)
        times = self._schedule.due(now, room)
        self.books.bursts = self._bursts.count
        if not times:
            return
        self.books.note_lateness(now - times[0])
        self._wall.follow(now)
        events = self._source.events(self._wall.at_us(times))
        self.books.levels += Counter(map(attrgetter("level"), events))
        for channel in self._channels:
            channel.write(events)

    def _is_done(self) -> bool:
        return self.books.made == self._count or self._schedule.next_at > self._end <= self.books.elapsed_seconds

    def _sleep(self, started_at: float) -> None:
        elapsed = self._clock() - started_at
        next_at = min(self._schedule.next_at, self._end)
        if next_at + _TICK_SECONDS > elapsed:
            self._stop.wait(min(max(next_at - elapsed, _TICK_SECONDS), _IDLE_SECONDS))
