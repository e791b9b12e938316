"""``GET /errors/stats`` of logstreamd: asked, waited for, and shown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generator.http_client import HttpClient, UnreachableError
from generator.stop import Stop

__all__ = ["ErrorStats", "describe", "wait_for_errors"]

_PATH = "/errors/stats"
# Lines are stored within a fraction of a second, unless the database is away.
_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.1
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ErrorStats:
    """An answer."""

    total: int
    types: Mapping[str, int]
    recent: list[dict[str, Any]]

    @classmethod
    def ask(cls, client: HttpClient) -> ErrorStats:
        """Ask.

        Raises:
            UnreachableError: there was no answer, or not one with statistics.
        """
        answer = client.request("GET", _PATH)
        document = answer.document()
        if answer.status != 200 or "total_errors" not in document:
            raise UnreachableError(f"GET {_PATH} was answered with {answer.status}")
        return cls(document["total_errors"], document["error_types"], document["recent_errors"])


def wait_for_errors(client: HttpClient, before: ErrorStats, made: int, stop: Stop) -> ErrorStats:
    """Ask until so many more errors are counted than before, or patience is over.

    Raises:
        UnreachableError: there was no answer.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    stats = ErrorStats.ask(client)
    while stats.total - before.total < made and time.monotonic() < deadline and not stop.wait(_POLL_SECONDS):
        stats = ErrorStats.ask(client)
    return stats


def describe(made: Counter[int], before: ErrorStats, after: ErrorStats) -> str:
    """Return what was made and what logstreamd says, for people."""
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(made.items()))
    lines = [f"answered by the task API: {statuses}", f"{_PATH} counts {after.total:,} errors:"]
    for name, count in sorted(after.types.items(), key=lambda found: -found[1]):
        more = count - before.types.get(name, 0)
        lines.append(f"  {name:<28} {count:>8,}" + (f"  (+{more:,})" if more else ""))
    lines.append("the newest:")
    lines += [f"  {one.get('ts')}  {one.get('service')}  {one.get('message')!r}" for one in after.recent[:_SHOWN]]
    return "\n".join(lines)
