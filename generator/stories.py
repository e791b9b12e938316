"""Patterns under way: which steps are due, on which level.

A step is written when it is due *and* the next line is of its level. So the shares of the levels stay what the weights
say, and a step waits a moment for its turn.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random

from generator.event import Event
from generator.identifiers import Identifiers
from generator.patterns import PATTERNS, Pattern

__all__ = ["Stories"]

# Of one pattern at the same time. Where a level is so rare that its steps queue up, stories wait to begin instead;
# users are not seen again for 90,000 sessions, so nobody has two sessions at once.
_MAX_UNDER_WAY = 1_000


@dataclass(slots=True)
class _Story:
    pattern: Pattern
    subject: str
    user_id: str
    request_id: str
    trace_id: str
    next_step: int = 0


class Stories:
    """Tells patterns.

    Args:
        levels: the levels that lines can have; a pattern that needs another one is never begun.
        identifiers: gives out the ids that the lines of a story share.
        rng: decides when stories begin and how long their states last.
    """

    def __init__(
        self, levels: Collection[str], identifiers: Identifiers, rng: Random, patterns: tuple[Pattern, ...] = PATTERNS
    ) -> None:
        self._identifiers = identifiers
        self._rng = rng
        self._turn = count()  # keeps the order of those due at the same moment
        self._waiting: dict[str, list[tuple[int, int, _Story]]] = {level: [] for level in levels}
        told = [pattern for pattern in patterns if all(step.level in levels for step in pattern.steps)]
        self._beginning = {level: [pattern for pattern in told if pattern.steps[0].level == level] for level in levels}
        self._under_way = dict.fromkeys([pattern.name for pattern in told], 0)

    def next_line(self, level: str, time_us: int) -> Event | None:
        """Return the line of a step that is due on this level, or of a story that begins; None when there is neither.

        Args:
            time_us: of the line, never before that of an earlier call.
        """
        waiting = self._waiting[level]
        if waiting and waiting[0][0] <= time_us:
            return self._tell(heappop(waiting)[2], time_us)
        for pattern in self._beginning[level]:
            if self._rng.random() < pattern.start_chance and self._under_way[pattern.name] < _MAX_UNDER_WAY:
                return self._tell(self._begin(pattern), time_us)
        return None

    def _begin(self, pattern: Pattern) -> _Story:
        self._under_way[pattern.name] += 1
        ids = self._identifiers
        return _Story(pattern, self._rng.choice(pattern.subjects), ids.visitor(), ids.request(), ids.trace())

    def _tell(self, story: _Story, time_us: int) -> Event:
        """Make the line of a story's next step, and let the step after it wait."""
        steps = story.pattern.steps
        step = steps[story.next_step]
        story.next_step += 1
        if story.next_step < len(steps):
            following = steps[story.next_step]
            due_us = time_us + int(self._rng.uniform(*following.pause_seconds) * 1_000_000)
            heappush(self._waiting[following.level], (due_us, next(self._turn), story))
        else:
            self._under_way[story.pattern.name] -= 1
        return Event(
            time_us,
            step.level,
            self._identifiers.line(),
            step.service,
            story.user_id,
            story.request_id,
            story.trace_id,
            self._rng.randint(*step.duration_ms),
            step.message.format(subject=story.subject),
        )
