"""The calls that the task API gets, most of them wrong."""

from __future__ import annotations

import json
from collections import Counter

from generator.http_client import HttpClient

__all__ = ["REQUESTS", "drive"]

REQUESTS: tuple[tuple[str, str, object], ...] = (
    ("POST", "/tasks", {"title": "water the plants"}),
    ("GET", "/tasks/1", None),
    ("POST", "/tasks", {"name": "a title is missing"}),
    ("POST", "/tasks", "not an object"),
    ("GET", "/tasks/4711", None),
    ("GET", "/favicon.ico", None),
    ("POST", "/tasks/1/split", {"parts": 4}),
    ("POST", "/tasks/1/split", {"parts": 0}),
)
"""Method, path and body."""


def drive(url: str, rounds: int) -> Counter[int]:
    """Make every call so many times.

    Returns:
        How often each status came.

    Raises:
        UnreachableError: the API did not answer.
    """
    client = HttpClient(url)
    statuses: Counter[int] = Counter()
    for _ in range(rounds):
        for method, path, document in REQUESTS:
            body = None if document is None else json.dumps(document).encode()
            statuses[client.request(method, path, body, {"Content-Type": "application/json"}).status] += 1
    client.close()
    return statuses
