"""Bytes of server-sent events → events, however they are cut.

Source: HTML Living Standard, section 9.2.6, "Interpreting an event stream", as far as the daemon makes use of it: lines
end with a line feed, and no field has more than one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Event", "EventStream", "TooLongError"]

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A row is at most a MiB, and six times that when all of it has to be escaped; more is not our daemon."""


class TooLongError(Exception):
    """An event does not end."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        id: what to bring back after a break; empty: as before.
        kind: its name.
        data: empty for an event that only brings an id.
    """

    id: str
    kind: str
    data: bytes


class EventStream:
    """Cuts a stream."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes and yield the events that are complete.

        Raises:
            TooLongError: an event is longer than :data:`MAX_EVENT_BYTES`.
        """
        searched = max(0, len(self._rest) - 1)
        self._rest += piece
        start = 0
        while (end := self._rest.find(b"\n\n", max(start, searched))) >= 0:
            yield _read(bytes(self._rest[start:end]))
            start = end + 2
        del self._rest[:start]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise TooLongError(f"an event is longer than {MAX_EVENT_BYTES} bytes")


def _read(text: bytes) -> Event:
    fields = {}
    for line in text.split(b"\n"):
        name, _, value = line.partition(b":")
        fields[name] = value.removeprefix(b" ")
    return Event(fields.get(b"id", b"").decode(), fields.get(b"event", b"message").decode(), fields.get(b"data", b""))
