"""What is stored, as rows in memory."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

__all__ = ["stored_rows"]


async def stored_rows(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """Return all rows as matchers and measurers take them."""
    rows = await connection.fetch("SELECT * FROM logs")
    return [{**row, "attrs": json.loads(row["attrs"] or "null"), "peer": str(row["peer"])} for row in rows]
