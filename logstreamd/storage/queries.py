"""SQL files into named queries.

A file under ``sql/`` holds queries, each below a line ``-- name --``. Comments between queries belong to the reader.
"""

from __future__ import annotations

import re
from importlib import resources

__all__ = ["load_queries", "sql_directory"]

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def sql_directory() -> resources.abc.Traversable:
    """Return the directory of the package that holds the SQL files."""
    return resources.files("logstreamd.storage") / "sql"


def load_queries(name: str) -> dict[str, str]:
    """Return the queries of one file by their names.

    Args:
        name: the file's name under ``sql/``, for example ``"partitions.sql"``.
    """
    _, *parts = _HEADING.split((sql_directory() / name).read_text(encoding="utf-8"))
    return {name: query.strip() for name, query in zip(parts[::2], parts[1::2], strict=True)}
