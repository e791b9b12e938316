"""The spool's SQL, read from ``sql/``: the schema, and the queries by name (``-- name --`` before each)."""

from __future__ import annotations

import re
from importlib import resources

__all__ = ["POSITIONS_SCHEMA", "QUERIES", "SCHEMA"]

_FOLDER = resources.files("logstreamd.spool") / "sql"


def _queries(text: str) -> dict[str, str]:
    _, *parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


POSITIONS_SCHEMA = (_FOLDER / "positions.sql").read_text(encoding="utf-8")
"""What format 2 has more than format 1."""
SCHEMA = (_FOLDER / "schema.sql").read_text(encoding="utf-8") + POSITIONS_SCHEMA
QUERIES = _queries((_FOLDER / "queries.sql").read_text(encoding="utf-8"))
