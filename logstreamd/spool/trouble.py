"""The spool's trouble → the daemon's own log: a line when it takes no more, and one when that is over.

Readiness and metrics have it at any moment; whoever reads nothing but the log learns here why senders wait.
"""

from __future__ import annotations

import structlog

from logstreamd.spool.interface import SpoolStats

__all__ = ["OVER_SECONDS", "SpoolTrouble"]

_log = structlog.get_logger(__name__)

OVER_SECONDS = 10.0
"""Without trouble for so long it is over: while a full spool is emptied, senders fill it again and again."""


class SpoolTrouble:
    """Remembers what was said last."""

    def __init__(self) -> None:
        self._said: str | None = None
        self._seen_at = 0.0

    def look(self, stats: SpoolStats, now: float) -> None:
        """Say what has changed.

        Args:
            stats: the spool's state.
            now: by a steady clock.
        """
        problem = stats.last_error or ("full" if stats.full else None)
        if problem is not None:
            self._seen_at = now
            if problem != self._said:
                self._said = problem
                _log.warning("the spool takes no more", problem=problem, bytes=stats.bytes, max_bytes=stats.max_bytes)
        elif self._said is not None and now - self._seen_at >= OVER_SECONDS:
            _log.info("the spool takes messages again", after=self._said)
            self._said = None
