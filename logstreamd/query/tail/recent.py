"""What this daemon's writer stores, held for a moment so that a tail need not read it back.

Only a cache: whether and when a batch is stored is asked of the database, and a batch that is not here is read there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from logstreamd.wire.block import Block
from logstreamd.wire.copy_binary import Encoded

__all__ = ["EVICTED", "RecentBatches"]

MAX_BYTES = 16 * 1024 * 1024
"""Three or four full batches: more than a round can look at anyway."""
_MAX_NUMBERS = 4_096  # batches that are known to have been here; at full speed a minute and a half of them

EVICTED = object()
"""A batch of ours that there was no room for: reading it back would take longer than storing it did."""


class RecentBatches:
    """Batches by their number, while somebody follows.

    Attributes:
        kick: called when a batch was stored.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._batches: OrderedDict[int, Encoded | None] = OrderedDict()
        self._wanted: Callable[[Sequence[Block]], bool] | None = None
        self.kick: Callable[[], None] = lambda: None

    @property
    def bytes(self) -> int:
        """What is held."""
        return self._bytes

    def watch(self, wanted: Callable[[Sequence[Block]], bool]) -> None:
        """Begin to hold batches.

        Args:
            wanted: tells whether somebody may want a row of these blocks.
        """
        self._wanted = wanted

    def rest(self) -> None:
        """Hold nothing until somebody watches again."""
        self._wanted = None
        self._batches.clear()
        self._bytes = 0

    def storing(self, encoded: Encoded) -> None:
        """Take note of a batch that is about to be stored: before, so that it is here when others see it stored."""
        if self._wanted is None or not self._wanted(encoded.blocks):
            return
        number = encoded.first_id >> 16
        self._forget(number)
        self._batches[number] = encoded
        self._bytes += _size(encoded)
        if self._bytes > self._max_bytes:
            self._evict()
        while len(self._batches) > _MAX_NUMBERS:
            self._forget(next(iter(self._batches)))

    def stored(self) -> None:
        """Say that a batch was stored."""
        if self._wanted is not None:
            self.kick()

    def take(self, number: int) -> Encoded | object | None:
        """Give out a batch that was found to be stored, once.

        Returns:
            The batch; :data:`EVICTED` when it is ours and no longer here; None when it never was here.
        """
        if number not in self._batches:
            return None
        encoded = self._forget(number)
        return EVICTED if encoded is None else encoded

    def _forget(self, number: int) -> Encoded | None:
        encoded = self._batches.pop(number, None)
        if encoded is not None:
            self._bytes -= _size(encoded)
        return encoded

    def _evict(self) -> None:
        """Let go of the oldest batches; their numbers stay."""
        for number, encoded in self._batches.items():
            if self._bytes <= self._max_bytes:
                break
            if encoded is not None:
                self._batches[number] = None
                self._bytes -= _size(encoded)


def _size(encoded: Encoded) -> int:
    return len(encoded.rows) + sum(len(block.bloom) for block in encoded.blocks)
