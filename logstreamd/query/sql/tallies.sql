-- What rules measure: lines by groups and by steps of time. <keys> are expressions for key_1, key_2 … and value, each with a comma
-- behind it; <names> are the names of the keys, the same way, and <listed> without the last comma. <filter>, <part> and all that is
-- cast are bound parameters, and what the filter language compiles to. <length> is the length of a step, <origin> where one begins.

-- rows --
-- The outer bounds are for the planner, who takes the partitions of other days out.
SELECT * FROM logs WHERE ts >= <start>::timestamptz AND ts < <end>::timestamptz AND (<slices>) AND <filter>

-- ids --
id BETWEEN <first>::bigint AND <last>::bigint

-- ids_between --
(<ids> AND ts >= <begin>::timestamptz AND ts < <until>::timestamptz)

-- rows_of_many --
-- Slice by slice, a look into the BRIN each.
SELECT found.*
FROM unnest(<begins>::timestamptz[], <ends>::timestamptz[], <first_ids>::bigint[], <last_ids>::bigint[])
     AS slice (slice_begin, slice_end, first_id, last_id)
CROSS JOIN LATERAL (
    SELECT * FROM logs
    WHERE ts >= <start>::timestamptz AND ts < <end>::timestamptz AND ts >= slice_begin AND ts < slice_end
      AND id BETWEEN first_id AND last_id AND <filter>
    OFFSET 0 -- or else the planner may read the whole day, and join that
) AS found

-- of_logs --
SELECT <keys> date_bin(<length>::interval, ts, <origin>::timestamptz) AS step, count(*) AS lines, count(*) FILTER (WHERE <part>) AS part,
       max(ts) AS last
FROM (
    <rows>
) AS logs
GROUP BY <names> value, step

-- of_counts --
SELECT <keys> date_bin(<length>::interval, minute, <origin>::timestamptz) AS step, sum(count)::bigint AS lines,
       coalesce(sum(count) FILTER (WHERE <part>), 0)::bigint AS part, NULL::timestamptz AS last
FROM log_counts
WHERE minute >= <start>::timestamptz AND minute < <end>::timestamptz AND minute <> ALL (<cut>::timestamptz[]) AND <filter>
GROUP BY <names> value, step

-- groups --
-- One of the queries above, or both with UNION ALL between them. What came and went adds up to nothing and is none; the lines
-- of the newest step are the volume.
WITH counted AS (
    <counted>
), added AS (
    SELECT <names> value, step, sum(lines)::bigint AS lines, sum(part)::bigint AS part, max(last) AS last
    FROM counted
    GROUP BY <names> value, step
    HAVING sum(lines) <> 0
)
SELECT ARRAY[<listed>]::text[] AS "group", sum(lines)::bigint AS lines, sum(part)::bigint AS part, max(last) AS last,
       count(DISTINCT nullif(value, '')) AS values, array_agg(step) AS steps, array_agg(lines) AS lines_of_steps
FROM added
GROUP BY <grouped>
HAVING count(*) > 0
ORDER BY coalesce(sum(lines) FILTER (WHERE step = <newest>::timestamptz), 0) DESC, ARRAY[<listed>]::text[] COLLATE "C"
LIMIT <limit>::integer

-- tallies --
SELECT ARRAY[<listed>]::text[] AS "group", value, step, sum(lines)::bigint AS lines, sum(part)::bigint AS part, max(last) AS last
FROM (
    <counted>
) AS counted
GROUP BY <names> value, step
HAVING sum(lines) <> 0
LIMIT <limit>::integer

-- level --
(<levels>::text[])[severity + 1]

-- column --
left(coalesce(<column>, ''), <most>)

-- attribute --
CASE WHEN jsonb_typeof(<value>) IN ('object', 'array') THEN '' ELSE left(coalesce(<value> #>> '{}', ''), <most>) END

-- attribute_at --
coalesce(attrs #> <path>::text[], attrs -> <name>::text)

-- first_line --
SELECT min(ts_min) AS ts FROM blocks WHERE day = (SELECT min(day) FROM blocks)

-- recent_blocks --
SELECT day, first_id, last_id, ts_min, ts_max, row_count FROM blocks WHERE ts_max >= $1 ORDER BY ts_max DESC LIMIT $2

-- blocks_with --
SELECT first_id FROM blocks WHERE day = $1 AND first_id = ANY ($2::bigint[]) AND <conditions>

-- of_blocks --
-- Each row belongs to the last block that does not begin behind it, or to none of those that are asked for.
SELECT block, ARRAY[<listed>]::text[] AS "group", value, step, count(*) AS lines, count(*) FILTER (WHERE part) AS part, max(ts) AS last
FROM (
    SELECT id, width_bucket(id, <first_ids_of_blocks>::bigint[]) AS block, <keys>
           date_bin(<length>::interval, ts, <origin>::timestamptz) AS step, <part> AS part, ts
    FROM (
        <rows>
    ) AS logs
) AS found
WHERE id <= (<last_ids_of_blocks>::bigint[])[block]
GROUP BY block, <names> value, step
LIMIT <limit>::integer

-- minutes --
SELECT service, severity, array_agg(round(date_part('epoch', minute - $1::timestamptz) / 60)::integer) AS positions,
       array_agg(count) AS counts
FROM log_counts
WHERE minute >= $1::timestamptz AND minute < $2::timestamptz
GROUP BY service, severity
LIMIT $3
