"""New batches → chunks of rows: from what the writer just stored where that is at hand, else from the database."""

from __future__ import annotations

from collections.abc import Sequence

from logstreamd.query.tail.feed import Feed, StoredBatch
from logstreamd.query.tail.look import Chunk, Question
from logstreamd.query.tail.recent import EVICTED, RecentBatches
from logstreamd.query.tail.rows import EncodedRows
from logstreamd.wire.copy_binary import Encoded

__all__ = ["gather", "read_chunks"]


async def gather(
    batches: Sequence[StoredBatch], questions: Sequence[Question], recent: RecentBatches, feed: Feed, *, max_rows: int
) -> list[Chunk]:
    """Return the rows that somebody may want, in the order of their ids.

    Args:
        batches: new ones.
        questions: the filters of those who follow.
        recent: asked first.
        feed: asked for the others.
        max_rows: to read from the database; rows beyond are unread.
    """
    chunks: dict[int, Chunk] = {}
    elsewhere: list[StoredBatch] = []
    for batch in batches:
        known = recent.take(batch.number)
        # Of a batch that lost rows to the quarantine only the database knows what is left.
        if isinstance(known, Encoded) and len(known) == batch.row_count:
            chunks[batch.number] = Chunk(EncodedRows(known), known.blocks)
        elif known is EVICTED:
            chunks[batch.number] = Chunk((), batch.blocks, unread=batch.row_count)
        else:
            elsewhere.append(batch)
    chunks |= await read_chunks(elsewhere, questions, feed, max_rows=max_rows)
    return [chunks[number] for number in sorted(chunks)]


async def read_chunks(
    batches: Sequence[StoredBatch], questions: Sequence[Question], feed: Feed, *, max_rows: int
) -> dict[int, Chunk]:
    """Read the rows of batches from the database, by number; the newest when they are too many."""
    possible = _wanted(await feed.with_blooms(_wanted(batches, questions)), questions)
    chosen: list[StoredBatch] = []
    room = max_rows
    for batch in reversed(possible):
        if batch.row_count <= room or not chosen:
            chosen.append(batch)
            room -= batch.row_count
    rows = await feed.rows(sorted(chosen, key=lambda batch: batch.number), max_rows)
    chunks = {}
    for batch in possible:
        at_hand = rows.get(batch.number, [])
        is_whole = batch in chosen and len(at_hand) < max_rows
        chunks[batch.number] = Chunk(at_hand, batch.blocks, unread=0 if is_whole else batch.row_count - len(at_hand))
    return chunks


def _wanted(batches: Sequence[StoredBatch], questions: Sequence[Question]) -> list[StoredBatch]:
    return [batch for batch in batches if any(question.may_match(batch.blocks) for question in questions)]
