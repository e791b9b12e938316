-- Queries of retention.py and retention_plan.py.

-- stored_days --
-- What a block takes besides its filter: numbers, names and its place in the indexes.
SELECT day, sum(row_count)::bigint AS rows, sum(coalesce(octet_length(bloom), 0) + 500)::bigint AS byte_count
FROM blocks
GROUP BY day

-- partition_sizes --
-- A partition that was dropped a moment ago has no size any more.
SELECT to_date(right(child.relname, 8), 'YYYYMMDD') AS day, coalesce(pg_total_relation_size(child.oid), 0) AS byte_count
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'public.logs'::regclass AND child.relname ~ '^logs_\d{8}$' AND NOT inhdetachpending

-- unplaced_size --
SELECT coalesce(pg_total_relation_size(to_regclass('public.logs_default')), 0)

-- folded_rows --
SELECT count(*) FROM folded_counts WHERE minute >= $1 AND minute < $2

-- matching_counts --
SELECT coalesce(sum(count), 0)::bigint AS rows, min(minute) AS first, max(minute) AS last
FROM log_counts
WHERE minute >= $1 AND minute < $2 AND severity = ANY ($3::smallint[]) AND service = ANY ($4::text[])

-- matching_totals --
SELECT coalesce(sum(count), 0)::bigint AS rows, min(minute) AS first, max(minute) AS last
FROM log_totals
WHERE minute >= $1 AND minute < $2 AND severity = ANY ($3::smallint[])

-- be_patient --
-- What is done here may take long, and nobody waits for it.
SELECT set_config('statement_timeout', '600000', true)

-- be_brief --
-- A partition that was not analyzed yet would be read as a whole.
SELECT set_config('lock_timeout', '200ms', true), set_config('enable_seqscan', 'off', true)

-- rows_of_day --
SELECT coalesce(sum(row_count), 0)::bigint FROM blocks WHERE day = $1

-- clear_blocks --
DELETE FROM blocks WHERE day = $1

-- clear_counts --
DELETE FROM folded_counts WHERE minute >= $1 AND minute < $2

-- clear_totals --
DELETE FROM folded_totals WHERE minute >= $1 AND minute < $2

-- forget_pending --
-- Batches that are not folded yet have counts of other days too: what they have of this one is taken off.
WITH counts AS (
    SELECT one.minute, one.service, one.severity, -sum(one.count)::bigint AS count
    FROM batch_counts, unnest(minutes, services, severities, counts) AS one (minute, service, severity, count)
    WHERE one.minute >= $1 AND one.minute < $2
    GROUP BY 1, 2, 3 HAVING sum(one.count) <> 0
),
totals AS (
    SELECT one.minute, one.severity, -sum(one.count)::bigint AS count
    FROM batch_counts, unnest(total_minutes, total_severities, totals) AS one (minute, severity, count)
    WHERE one.minute >= $1 AND one.minute < $2
    GROUP BY 1, 2 HAVING sum(one.count) <> 0
)
INSERT INTO batch_counts (minutes, services, severities, counts, total_minutes, total_severities, totals)
SELECT counts.*, totals.*
FROM (SELECT array_agg(minute) AS minutes, array_agg(service), array_agg(severity), array_agg(count) FROM counts) AS counts,
     (SELECT array_agg(minute), array_agg(severity), array_agg(count) FROM totals) AS totals
WHERE minutes IS NOT NULL

-- blocks_to_read --
SELECT first_id, last_id FROM blocks
WHERE day = $1 AND first_id > $2 AND ts_min < $4 AND ts_max >= $3
  AND (services IS NULL OR $6::text[] IS NULL OR services && $6)
  AND EXISTS (SELECT FROM unnest($5::smallint[]) AS severity WHERE severity_counts[severity + 1] > 0)
ORDER BY first_id
LIMIT 1

-- delete_rows --
-- Rows, and what is told about them: all in one statement, so that it is about the same rows. A row belongs to the block
-- of its day that begins last before it.
WITH gone AS (
    DELETE FROM logs
    WHERE id BETWEEN $2 AND $3 AND ts >= $4 AND ts < $5
      AND severity = ANY ($6::smallint[]) AND ($7::text[] IS NULL OR service = ANY ($7))
    RETURNING id, ts, service, severity
),
lost AS (
    SELECT own.first_id, count(*) AS rows,
           ARRAY[count(*) FILTER (WHERE severity = 0), count(*) FILTER (WHERE severity = 1),
                 count(*) FILTER (WHERE severity = 2), count(*) FILTER (WHERE severity = 3),
                 count(*) FILTER (WHERE severity = 4), count(*) FILTER (WHERE severity = 5),
                 count(*) FILTER (WHERE severity = 6), count(*) FILTER (WHERE severity = 7)] AS by_severity
    FROM gone CROSS JOIN LATERAL (
        SELECT first_id FROM blocks
        WHERE day = $1 AND first_id <= gone.id AND last_id >= gone.id
        ORDER BY first_id DESC LIMIT 1
    ) AS own
    GROUP BY 1
),
corrected AS (
    UPDATE blocks
    SET row_count = row_count - rows,
        byte_count = byte_count::bigint * (row_count - rows) / row_count,
        severity_counts = ARRAY(SELECT had - lost FROM unnest(severity_counts, by_severity) AS one (had, lost))
    FROM lost
    WHERE blocks.day = $1 AND blocks.first_id = lost.first_id
),
counts AS (
    SELECT extract(epoch FROM date_trunc('minute', ts, 'UTC'))::bigint / 60 AS minute, service, severity, -count(*) AS count
    FROM gone GROUP BY 1, 2, 3
),
totals AS (
    SELECT minute, severity, sum(count)::bigint AS count FROM counts GROUP BY 1, 2
),
counted AS (
    INSERT INTO batch_counts (minutes, services, severities, counts, total_minutes, total_severities, totals)
    SELECT counts.*, totals.*
    FROM (SELECT array_agg(minute) AS minutes, array_agg(service), array_agg(severity), array_agg(count) FROM counts) AS counts,
         (SELECT array_agg(minute), array_agg(severity), array_agg(count) FROM totals) AS totals
    WHERE minutes IS NOT NULL
)
SELECT count(*) FROM gone

-- delete_empty_blocks --
DELETE FROM blocks WHERE day = $1 AND first_id BETWEEN $2 AND $3 AND row_count = 0
