"""Messages that are lost → the daemon's own log: whoever reads nothing but the log must learn of it there."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

__all__ = ["QUIET_SECONDS", "Losses"]

_log = structlog.get_logger(__name__)

QUIET_SECONDS = 60.0
"""Between two lines about the same loss; the second one counts what came between."""


class Losses:
    """One way in which an input loses messages: told at once, and from then on once a minute.

    Args:
        name: the input's name.
        reason: what becomes of them, for people.
        clock: a steady one.
    """

    def __init__(self, name: str, reason: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._reason = reason
        self._clock = clock
        self._told_at = -QUIET_SECONDS
        self._untold = 0

    def add(self, count: int) -> None:
        """Take note of messages that were lost; 0 tells what is left to be told."""
        self._untold += count
        if not self._untold:
            return
        now = self._clock()
        if now - self._told_at >= QUIET_SECONDS:
            _log.warning("messages lost", input=self._name, reason=self._reason, messages=self._untold)
            self._told_at, self._untold = now, 0
