"""One session at a time folds counts, merges blocks and deletes rows; the others find something else to do.

Writers and readers never take part: what they do is right beside any of it.
"""

from __future__ import annotations

from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries

__all__ = ["try_turn"]

_SQL = load_queries("turns.sql")


async def try_turn(connection: Connection) -> bool:
    """Take the turn until the end of the transaction; False when another session has it."""
    return bool(await connection.fetchval(_SQL["try_turn"]))
