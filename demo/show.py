"""What the demo shows while it runs: how many lines are stored, of which levels, and what happens to the alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from demo.daemon import Daemon

__all__ = ["Show"]

_LEVELS = ("debug", "info", "warning", "error")


class Show:
    """Says what the daemon has, in lines that begin with the seconds since the start.

    Args:
        daemon: is asked.
        say: takes a line.
    """

    def __init__(self, daemon: Daemon, say: Callable[[str], None]) -> None:
        self._daemon = daemon
        self._say = say
        self._last_event = 0
        self._last_count = 0
        self._last_at = 0.0

    def say_counts(self, at: float) -> None:
        """Say how many lines are stored, and how many more each second since the last time.

        Args:
            at: seconds since the start.
        """
        levels = self._daemon.levels()
        count = sum(levels.values())
        rate = (count - self._last_count) / max(at - self._last_at, 1)
        self._last_count, self._last_at = count, at
        shares = "  ".join(f"{level} {levels.get(level, 0):,}" for level in _LEVELS)
        self._line(at, f"stored {count:,} lines, {rate:.0f}/s:  {shares}")

    def say_alerts(self, at: float) -> None:
        """Say what happened to alerts since the last time.

        Args:
            at: seconds since the start.
        """
        for event in self._daemon.alert_events():
            if event["id"] > self._last_event:
                self._last_event = event["id"]
                self._say_event(at, event)

    def say_incident(self, at: float) -> None:
        """Say that an incident begins.

        Args:
            at: seconds since the start.
        """
        self._line(at, "INCIDENT begins")

    def _say_event(self, at: float, event: Mapping[str, Any]) -> None:
        self._line(at, f"ALERT {event['alert']} is {event['after']}: {event['annotations'].get('summary', '')}")
        for row in event.get("samples") or ():
            self._line(at, f"  for example {row.get('service')}: {row['message']}")

    def _line(self, at: float, text: str) -> None:
        self._say(f"{at:5.0f} s  {text}")
