"""What the daemon of the demo says over HTTP, as far as the demo shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.processes import DemoError
from generator.http_client import HttpClient, UnreachableError

__all__ = ["Daemon"]

# Newest events of a demo that are looked at; an alert makes three of them in a minute, and every look is a second away.
_EVENTS = 100


class Daemon:
    """Asks one daemon.

    Args:
        url: where it answers.
    """

    def __init__(self, url: str) -> None:
        self._client = HttpClient(url)

    def is_ready(self) -> bool:
        """Whether it takes and stores lines."""
        try:
            return self._client.request("GET", "/ready").status == 200
        except UnreachableError:
            return False

    def levels(self) -> dict[str, int]:
        """Return how many lines of each level are stored."""
        series = self._ask("/api/v1/counts?by=level")["series"]
        return {str(one["labels"]["level"]): int(one["total"]) for one in series}

    def alert_events(self) -> list[Mapping[str, Any]]:
        """Return what happened to alerts lately, oldest first."""
        events: list[Mapping[str, Any]] = self._ask(f"/api/v1/alerts/history?limit={_EVENTS}")["events"]
        return events[::-1]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _ask(self, path: str) -> dict[str, Any]:
        try:
            answer = self._client.request("GET", path)
        except UnreachableError as problem:
            raise DemoError(f"the daemon does not answer: {problem}") from problem
        if answer.status != 200:
            raise DemoError(f"the daemon answers {path} with {answer.status}: {answer.body[:300]!r}")
        return answer.document()
