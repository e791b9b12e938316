"""The silences there are, for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from logstreamd.query.database import Database
from logstreamd.storage.queries import load_queries

__all__ = ["SilenceReader"]

_SQL = load_queries("alert_events.sql", package="logstreamd.query")
_MOST = 1_000  # 200 may be unexpired; the others are those that ended last


class SilenceReader:
    """Reads silences.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, now: datetime, silence_id: UUID | None = None) -> list[dict[str, Any]]:
        """Return the silences, those that end last first, with their ``state``: pending, active or expired.

        Args:
            now: the present.
            silence_id: only this one, if there is one.

        Raises:
            QueryTimeoutError, TooManyQueriesError, UnavailableError: there is no answer.
        """
        with self._database.question():
            async with self._database.reading() as connection:
                rows = await connection.fetch(_SQL["silences"], now, silence_id, _MOST)
        return [_silence(row) for row in rows]


def _silence(row: asyncpg.Record) -> dict[str, Any]:
    return {**row, "id": str(row["id"]), "matchers": msgspec.Raw(row["matchers"].encode())}
