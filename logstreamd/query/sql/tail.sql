-- position --
SELECT pg_current_snapshot()::text

-- stored_since --
-- One statement, so that the position and the blocks are of one snapshot: what it sees and $1 does not is new, and no
-- transaction is new twice. Merged blocks (of two batches and more) are no news. $2 tells which blocks an interrupted
-- round had before it; what came after $4 is left to others.
SELECT now.position, found.*
FROM (SELECT pg_current_snapshot()::text AS position) AS now
LEFT JOIN (
    SELECT day, first_id, last_id, ts_min, ts_max, row_count, severity_counts, services, hosts,
           pg_visible_in_snapshot(xid, $2::text::pg_snapshot) AS seen, sum(row_count) OVER ()::bigint AS all_rows
    FROM blocks
    WHERE first_id >> 16 = last_id >> 16
      AND xid >= pg_snapshot_xmin($1::text::pg_snapshot)
      AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
      AND ($4::text IS NULL OR pg_visible_in_snapshot(xid, $4::text::pg_snapshot))
    ORDER BY first_id DESC
    LIMIT $3
) AS found ON true
ORDER BY first_id, day

-- blooms --
SELECT day, first_id, bloom FROM blocks WHERE (day, first_id) IN (SELECT * FROM unnest($1::date[], $2::bigint[]))

-- rows --
SELECT logs.*
FROM unnest($1::timestamptz[], $2::timestamptz[], $3::bigint[], $4::bigint[]) AS block (ts_min, ts_max, first_id, last_id)
CROSS JOIN LATERAL (
    SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
           attrs::text AS attrs, input, host(peer) AS peer, format
    FROM logs
    WHERE ts BETWEEN block.ts_min AND block.ts_max AND id BETWEEN block.first_id AND block.last_id
) AS logs
ORDER BY logs.id
LIMIT $5
