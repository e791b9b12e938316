"""What waits for one client: rows up to a bound, and how many it had to do without."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from logstreamd.query.tail.look import MAX_BYTES, MAX_ROWS, Found, Question
from logstreamd.query.tail.position import Position

__all__ = ["Events", "Subscription", "pieces_of", "skipped_event"]

_PIECE_ROWS = 100  # what is taken or refused at once
_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Events:
    """Some rows in a row; the text is shared by all clients that get them."""

    events: Sequence[tuple[int, bytes]]
    text: bytes

    @classmethod
    def of(cls, events: Sequence[tuple[int, bytes]]) -> Events:
        """Join the texts of rows, given with their ids."""
        return cls(events, b"".join(text for _, text in events))


@dataclass(slots=True)
class _Skipped:
    """Rows that were left out at this place."""

    slow: int = 0
    unread: int = 0

    @property
    def text(self) -> bytes:
        return skipped_event(self.slow, self.unread)


def skipped_event(slow: int | None, unread: int | None) -> bytes:
    """Return the text that tells a client what it does without; None: nobody knows."""
    return b"event: skipped\ndata: %b\n\n" % _encode_json({"skipped": slow, "unread": unread})


_LOST_TRACK = Events((), skipped_event(None, None))


def pieces_of(found: Found) -> list[Events]:
    """Cut what was found into what queues take or refuse."""
    return [Events.of(found.events[at : at + _PIECE_ROWS]) for at in range(0, len(found.events), _PIECE_ROWS)]


class Subscription:
    """A bounded queue of events.

    Attributes:
        position: how far a client is that has everything that was in the queue.

    Args:
        question: what the client follows.
        max_rows: that may wait.
        max_bytes: the same in bytes; a single piece may be larger.
    """

    def __init__(self, question: Question, *, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> None:
        self.question = question
        self.position = Position.after("1:1:", 0)
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._queue: deque[Events | _Skipped] = deque()
        self._rows = 0
        self._bytes = 0
        self._shown_before: set[int] = set()
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def waiting_rows(self) -> int:
        """Rows in the queue."""
        return self._rows

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed

    def has_shown(self, ids: Iterator[int] | Sequence[int]) -> None:
        """Leave out these rows when they come: the client gets them in another way."""
        self._shown_before.update(ids)

    def offer(self, pieces: Sequence[Events], unread: int, position: Position) -> int:
        """Take what a round found.

        Args:
            pieces: the rows.
            unread: rows that may match and were not looked at.
            position: how far a client is that has seen all of it.

        Returns:
            How many rows had no room.
        """
        self.position = position
        slow = 0
        for piece in pieces:
            fits = self._rows + len(piece.events) <= self._max_rows and self._bytes + len(piece.text) <= self._max_bytes
            if fits or not self._rows:
                self._put(piece)
            else:
                self.skip(slow=len(piece.events))
                slow += len(piece.events)
        self.skip(unread=unread)
        if self._queue:
            self._changed.set()
        return slow

    def _put(self, piece: Events) -> None:
        ids = {row_id for row_id, _ in piece.events}
        if not ids.isdisjoint(self._shown_before):
            piece = Events.of([event for event in piece.events if event[0] not in self._shown_before])
            self._shown_before -= ids
        if piece.events:
            self._queue.append(piece)
            self._rows += len(piece.events)
            self._bytes += len(piece.text)

    def skip(self, *, slow: int = 0, unread: int = 0) -> None:
        """Tell the client, at this place, that rows were left out."""
        if not slow and not unread:
            return
        last = self._queue[-1] if self._queue else None
        if not isinstance(last, _Skipped):
            last = _Skipped()
            self._queue.append(last)
        last.slow += slow
        last.unread += unread
        self._changed.set()

    def lose_track(self) -> None:
        """Tell the client, at this place, that nobody knows what it does without."""
        if not self._queue or self._queue[-1] is not _LOST_TRACK:
            self._queue.append(_LOST_TRACK)
        self._changed.set()

    async def next(self) -> bytes:
        """Return the text of everything that waits, as soon as there is something; nothing when it is over."""
        while not self._queue and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        text = b"".join(item.text for item in self._queue)
        self._empty()
        return text

    def _empty(self) -> None:
        self._queue.clear()
        self._rows = self._bytes = 0

    def close(self) -> None:
        """Free what waits; the client's stream ends."""
        self._closed = True
        self._empty()
        self._changed.set()
