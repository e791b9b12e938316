"""Batches of messages that say who they are, for the tests of what stores them."""

from __future__ import annotations

from collections.abc import Iterable

from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import Encoded, encode
from logstreamd.wire.policy import Policy

ARRIVAL_US = 1_795_316_400_000_000
"""2026-11-22T03:00:00Z"""


def batch_of(messages: Iterable[str | bytes], *, source: str = "tcp", peer: str = "192.0.2.7") -> Batch:
    """One frame per message, received a microsecond apart."""
    batch = Batch(source)
    for position, message in enumerate(messages):
        frame = message.encode() if isinstance(message, str) else message
        batch.append(frame, ARRIVAL_US + position, batch.peer_id(peer))
    return batch


def encoded(batch: Batch, number: int = 1) -> Encoded:
    return encode(batch, number * 65_536, Policy())


def numbered(count: int, bad: Iterable[int] = (), name: str = "good") -> list[str]:
    """Messages with their position; those at ``bad`` are what the test's database refuses."""
    return [f"{'poison' if position in set(bad) else name} {position}" for position in range(count)]
