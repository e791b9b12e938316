-- Queries of blocks.py.

-- oldest_running --
-- Transactions before this one have ended.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text

-- next_day --
SELECT max(day) FROM blocks
WHERE day < $1 AND (bloom IS NULL OR (row_count < 2048 AND byte_count < 262144))

-- days_since --
SELECT DISTINCT day FROM blocks
WHERE xid >= $1::text::xid8 AND xid < $2::text::xid8 AND first_id >> 16 = last_id >> 16

-- window --
-- From the first block with something to do.
SELECT first_id, last_id, row_count, byte_count, bloom IS NOT NULL AS surveyed,
       xid IS NULL OR xid < $3::text::xid8 AS settled
FROM blocks
WHERE day = $1 AND first_id >= (
    SELECT min(first_id) FROM blocks
    WHERE day = $1 AND first_id >= $2 AND (bloom IS NULL OR (row_count < 2048 AND byte_count < 262144))
)
ORDER BY first_id
LIMIT $4

-- use_indexes --
-- A partition that was not analyzed yet would be read as a whole.
SELECT set_config('enable_seqscan', 'off', true)

-- overlapping --
SELECT first_id, last_id FROM blocks
WHERE day = $1 AND first_id <= $3 AND last_id >= $2
ORDER BY first_id

-- rows --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message, attrs, input, peer, format
FROM logs
WHERE id BETWEEN $1 AND $2 AND ts >= $3 AND ts < $4

-- delete --
DELETE FROM blocks WHERE day = $1 AND first_id = ANY ($2::bigint[])

-- insert_merged --
-- No transaction: the rows are no news to anybody who follows the log.
INSERT INTO blocks
    (day, first_id, last_id, ts_min, ts_max, row_count, byte_count, severity_counts, services, hosts, bloom, xid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL)
