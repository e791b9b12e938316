"""Rows as they are stored → everybody who follows, each with a filter of their own.

What is shown is what is *stored*, by this daemon or another one on the same database, so that a tail and a search agree
and every row has its id. Batches are stored out of order by several writers, so nothing here goes by ids or times: a
round asks for the blocks that the present snapshot of the database sees and the one of the last round did not. Every
transaction is new in exactly one round, whatever order they were begun and ended in. That is the invariant:

    a row that is stored after a client joined is shown to it once, or counted as skipped; never twice.

One follower serves all clients, and only while there are any::

    Feed ─► blocks ─► which can match? ─► rows ─► each filter once ─► one text for all clients of it ─► their queues
                      (lists, bloom)      ▲
    RecentBatches ────────────────────────┘  what this daemon's writer just stored, so that it is not read back

Its work is bounded, not its lag: a round reads and looks at as many rows as its budget of time allows, counts the
others as unread, and rests nine times as long as it took. So a tail costs ingest a part that does not grow with it.
"""

from __future__ import annotations

from logstreamd.query.tail.feed import Feed
from logstreamd.query.tail.follower import Follower, TooManyTailsError
from logstreamd.query.tail.parameters import Tail, parse_tail
from logstreamd.query.tail.position import Position, parse_position
from logstreamd.query.tail.recent import RecentBatches
from logstreamd.query.tail.subscription import Subscription, skipped_event

__all__ = [
    "Feed",
    "Follower",
    "Position",
    "RecentBatches",
    "Subscription",
    "Tail",
    "TooManyTailsError",
    "parse_position",
    "parse_tail",
    "skipped_event",
]
