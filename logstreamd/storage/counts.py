"""Counts of single batches → counts by minute: ``batch_counts`` is folded into ``folded_counts`` and ``folded_totals``.

Invariant: at any moment, for any snapshot, the sum over ``batch_counts`` and ``folded_counts`` (which is the view
``log_counts``) is the number of rows in ``logs``, by minute, service and severity; the same holds for ``log_totals``.
Writers only add to ``batch_counts``, and who deletes rows of ``logs`` adds negative counts there, so nobody waits for
anybody. One statement moves them; a count that is committed meanwhile is not in its snapshot and waits for the next.
"""

from __future__ import annotations

from dataclasses import dataclass

from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries
from logstreamd.storage.transaction import transaction
from logstreamd.storage.turns import try_turn

__all__ = ["MAX_BATCHES", "Folded", "fold_counts"]

_SQL = load_queries("counts.sql")

MAX_BATCHES = 500
"""Batches folded at once: 250,000 counts when each has 500, about half a second of work for the server."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What one round of folding did.

    Attributes:
        batches: rows of ``batch_counts`` that are gone.
        counts: the counts that were in them.
    """

    batches: int
    counts: int

    @property
    def more(self) -> bool:
        """Whether there is likely more to fold."""
        return self.batches == MAX_BATCHES


async def fold_counts(connection: Connection) -> Folded:
    """Fold the counts of up to :data:`MAX_BATCHES` batches; of none while another session has the turn.

    Args:
        connection: one that is in no transaction.
    """
    async with transaction(connection):
        if not await try_turn(connection):
            return Folded(0, 0)
        (done,) = await connection.fetch(_SQL["fold"], MAX_BATCHES)
        return Folded(done["batches"], done["counts"])
