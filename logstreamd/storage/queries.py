"""SQL files into named queries.

A file under ``sql/`` holds queries, each below a line ``-- name --``.
"""

from __future__ import annotations

import re
from importlib import resources

__all__ = ["load_queries", "sql_directory"]

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def sql_directory(package: str = "logstreamd.storage") -> resources.abc.Traversable:
    """Return the directory of a package that holds its SQL files."""
    return resources.files(package) / "sql"


def load_queries(name: str, *, package: str = "logstreamd.storage") -> dict[str, str]:
    """Return the queries of one file by their names.

    Args:
        name: the file's name under ``sql/``, for example ``"partitions.sql"``.
        package: whose ``sql/`` it is.
    """
    _, *parts = _HEADING.split((sql_directory(package) / name).read_text(encoding="utf-8"))
    return {name: query.strip() for name, query in zip(parts[::2], parts[1::2], strict=True)}
