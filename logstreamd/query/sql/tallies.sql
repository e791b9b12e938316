-- What rules measure: lines by groups and by stretches of time of one length. <keys> are expressions for key_1, key_2 … and value,
-- each with a comma behind it; <names> are the names of the keys. <filter>, <part> and <start>, <end> … are bound parameters and
-- what the filter language compiles to. $1 is the length of a stretch, $2 where the first one begins.
-- <counted> is one of the first two queries, or both with UNION ALL between them.

-- of_logs --
-- A slice is a range of ids in a stretch of time: first by first, a look into the BRIN each. The outer bounds are there for the
-- planner, who takes the partitions of other days out.
SELECT <keys> date_bin($1::interval, ts, $2::timestamptz) AS step, count(*) AS lines, count(*) FILTER (WHERE <part>) AS part,
       max(ts) AS last
FROM unnest(<begins>::timestamptz[], <ends>::timestamptz[], <first_ids>::bigint[], <last_ids>::bigint[])
     AS slice (slice_begin, slice_end, first_id, last_id)
CROSS JOIN LATERAL (
    SELECT * FROM logs
    WHERE ts >= <start>::timestamptz AND ts < <end>::timestamptz AND ts >= slice_begin AND ts < slice_end
      AND id BETWEEN first_id AND last_id AND <filter>
) AS logs
GROUP BY <names> value, step

-- of_counts --
SELECT <keys> date_bin($1::interval, minute, $2::timestamptz) AS step, sum(count)::bigint AS lines,
       coalesce(sum(count) FILTER (WHERE <part>), 0)::bigint AS part, NULL::timestamptz AS last
FROM log_counts
WHERE minute >= <start>::timestamptz AND minute < <end>::timestamptz AND minute <> ALL (<cut>::timestamptz[]) AND <filter>
GROUP BY <names> value, step

-- groups --
-- What came and went adds up to nothing and is none. $3 is the step whose lines are the volume, $4 how many groups are wanted.
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
ORDER BY coalesce(sum(lines) FILTER (WHERE step = $3::timestamptz), 0) DESC, ARRAY[<listed>]::text[] COLLATE "C"
LIMIT $4::integer

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
