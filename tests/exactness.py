"""What must hold between ``logs``, ``blocks`` and the counts at any moment; each query returns what breaks it."""

from __future__ import annotations

import asyncpg

__all__ = ["VIOLATIONS", "violations"]

_COUNTS = """
    SELECT minute, service, severity, sum(rows) FROM (
        SELECT minute, service, severity, count AS rows FROM log_counts
        UNION ALL
        SELECT date_trunc('minute', ts, 'UTC'), service, severity, -count(*) FROM logs GROUP BY 1, 2, 3
    ) AS either GROUP BY 1, 2, 3 HAVING sum(rows) <> 0 LIMIT 5
"""
_TOTALS = """
    SELECT minute, severity, sum(rows) FROM (
        SELECT minute, severity, count AS rows FROM log_totals
        UNION ALL
        SELECT date_trunc('minute', ts, 'UTC'), severity, -count(*) FROM logs GROUP BY 1, 2
    ) AS either GROUP BY 1, 2 HAVING sum(rows) <> 0 LIMIT 5
"""
# A row belongs to the block of its day that begins last before it.
_OWNED = """
    WITH owned AS (
        SELECT logs.id, logs.ts, severity, service, host, block.*
        FROM logs LEFT JOIN LATERAL (
            SELECT first_id, last_id, ts_min, ts_max, severity_counts, services, hosts FROM blocks
            WHERE day = (logs.ts AT TIME ZONE 'UTC')::date AND first_id <= logs.id AND last_id >= logs.id
            ORDER BY first_id DESC LIMIT 1
        ) AS block ON true
    )
"""
_ROWS_OUTSIDE_OF_BLOCKS = f"""
    {_OWNED}
    SELECT id, ts, first_id FROM owned
    WHERE first_id IS NULL OR ts NOT BETWEEN ts_min AND ts_max OR severity_counts[severity + 1] < 1
       OR service IS NOT NULL AND service <> ALL (services)
       OR host IS NOT NULL AND host <> ALL (hosts)
    LIMIT 5
"""
_BLOCK_ROWS = f"""
    {_OWNED},
    counted AS (
        SELECT (ts AT TIME ZONE 'UTC')::date AS day, first_id, severity, count(*) AS rows FROM owned GROUP BY 1, 2, 3
        UNION ALL
        SELECT day, first_id, severity - 1, -rows
        FROM blocks, unnest(severity_counts) WITH ORDINALITY AS one (rows, severity)
    )
    SELECT day, first_id, severity, sum(rows) FROM counted GROUP BY 1, 2, 3 HAVING sum(rows) <> 0 LIMIT 5
"""
_BLOCK_SUMS = """
    SELECT day, first_id, row_count FROM blocks
    WHERE row_count <> (SELECT sum(rows) FROM unnest(severity_counts) AS rows) OR row_count < 1 LIMIT 5
"""

VIOLATIONS: dict[str, str] = {
    "log_counts are not the rows of logs": _COUNTS,
    "log_totals are not the rows of logs": _TOTALS,
    "rows that no block tells of": _ROWS_OUTSIDE_OF_BLOCKS,
    "blocks that have other rows than they say": _BLOCK_ROWS,
    "blocks that contradict themselves": _BLOCK_SUMS,
}


async def violations(connection: asyncpg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return what is wrong, by its name; nothing when all is well."""
    found = {name: [tuple(row) for row in await connection.fetch(query)] for name, query in VIOLATIONS.items()}
    return {name: rows for name, rows in found.items() if rows}
