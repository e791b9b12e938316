"""Times → events. With the same seed the same events, however the times are cut into batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from generator.event import Event
from generator.identifiers import Identifiers
from generator.levels import LevelDeck
from generator.messages import Messages
from generator.stories import Stories

__all__ = ["Source"]


class Source:
    """Says what happens at each time.

    Args:
        weights: of the levels.
        rng: everything is drawn from this.
        with_patterns: whether patterns are told among the other lines.
    """

    def __init__(self, weights: Mapping[str, float], rng: Random, *, with_patterns: bool) -> None:
        self._levels = LevelDeck(weights, rng)
        self._identifiers = Identifiers(rng)
        self._messages = Messages(rng)
        self._stories = Stories(self._levels.levels, self._identifiers, rng) if with_patterns else None

    def events(self, times_us: Iterable[int]) -> list[Event]:
        """Return one event for each time.

        Args:
            times_us: in order, also from call to call.
        """
        return [self._event(time_us) for time_us in times_us]

    def _event(self, time_us: int) -> Event:
        level = self._levels.draw()
        if self._stories is not None:
            told = self._stories.next_line(level, time_us)
            if told is not None:
                return told
        service, message, duration_ms = self._messages.draw(level)
        ids = self._identifiers
        return Event(time_us, level, ids.line(), service, ids.user(), ids.request(), ids.trace(), duration_ms, message)
