"""Rows × filters → the events of each filter, within a budget of time.

Runs in a thread of its own: a regex over a long text must not hold up the event loop. Every filter has an equal share
of what is left of the time, so an expensive one finds less and takes nothing from the others; what a filter had no time
for is counted as unread, for it alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from logstreamd.query.filter import Filter, matches
from logstreamd.query.tail.blocks import BlockFilter, Described
from logstreamd.query.tail.rows import Row

__all__ = ["Chunk", "Found", "Question", "look"]

MAX_ROWS = 1_000
"""Rows one filter finds in one look, for as many fit into a client's queue."""
MAX_BYTES = 1024 * 1024
"""The same in bytes; a single row may be larger."""


class Question:
    """A filter, prepared for many rows.

    Args:
        tree: the filter.
    """

    def __init__(self, tree: Filter) -> None:
        self.tree = tree
        self.blocks = BlockFilter(tree)

    def may_match(self, blocks: Iterable[Described]) -> bool:
        """Tell whether one of the blocks may hold a row that the filter takes."""
        return any(map(self.blocks.may_match, blocks))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in the order of their ids, and what is known of them.

    Attributes:
        rows: at hand.
        blocks: what they are about.
        unread: further rows of these blocks, which are not at hand.
    """

    rows: Sequence[Row]
    blocks: Sequence[Described]
    unread: int = 0


@dataclass(slots=True)
class Found:
    """What a filter found.

    Attributes:
        events: id and text of each row, in the order of their ids.
        bytes: length of the texts.
        unread: rows nobody looked at, in blocks that may hold what is wanted.
    """

    events: list[tuple[int, bytes]] = field(default_factory=list)
    bytes: int = 0
    unread: int = 0

    @property
    def is_full(self) -> bool:
        """Whether more would find no room in a queue."""
        return len(self.events) >= MAX_ROWS or self.bytes >= MAX_BYTES


def look(
    chunks: Sequence[Chunk],
    questions: Sequence[Question],
    *,
    prefix: str,
    budget_seconds: float,
    clock: Callable[[], float] = time.thread_time,
) -> list[Found]:
    """Find the rows that each filter takes.

    Args:
        chunks: in the order of their ids.
        questions: different filters.
        prefix: what the ids of the events begin with.
        budget_seconds: processor time for all of it.
        clock: what measures it.

    Returns:
        What each of the filters found.
    """
    events = _Events(prefix)
    end = clock() + budget_seconds
    found = []
    for left, question in zip(range(len(questions), 0, -1), questions, strict=True):
        share = (end - clock()) / left
        found.append(_look_once(chunks, question, events, clock, clock() + share))
    return found


class _Events:
    """Texts of rows, each written once for all filters that take it."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._texts: dict[int, bytes] = {}

    def text(self, row: Row) -> bytes:
        text = self._texts.get(row["id"])
        if text is None:
            # JSON has no raw line ends, so one line of data is enough.
            text = b"id: %b%d\nevent: log\ndata: %b\n\n" % (self._prefix, row["id"], row.as_json())
            self._texts[row["id"]] = text
        return text


def _look_once(
    chunks: Sequence[Chunk], question: Question, events: _Events, clock: Callable[[], float], deadline: float
) -> Found:
    found = Found()
    for chunk in chunks:
        if not question.may_match(chunk.blocks):
            continue
        found.unread += chunk.unread
        for position in range(len(chunk.rows)):
            if found.is_full or clock() > deadline:
                found.unread += len(chunk.rows) - position
                break
            row = chunk.rows[position]
            if matches(question.tree, row):
                text = events.text(row)
                found.events.append((row["id"], text))
                found.bytes += len(text)
    return found
