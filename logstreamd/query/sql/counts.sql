-- How many rows, by labels and steps. <start>, <end> and <filter> are bound parameters and what the filter language compiles to;
-- <labels> are expressions for label_1, label_2 … and <keys> these names, each with a comma behind it.
-- $1 is the step's length (NULL: no steps), $2 the begin of the first step, $3 how many series are shown.
-- <ids> are ranges of ids, or "true". <counts> is log_counts or log_totals, <counted> one of the queries of rows, or several with UNION ALL between them.

-- extent --
SELECT min(minute) AS first, max(minute) AS last FROM log_totals

-- rows_of_logs --
SELECT <labels> date_bin($1::interval, ts, $2::timestamptz) AS step, count(*) AS n
FROM logs
WHERE ts >= <start> AND ts < <end> AND (<ids>) AND <filter>
GROUP BY <keys> step

-- ids --
id BETWEEN <first>::bigint AND <last>::bigint

-- rows_of_counts --
SELECT <labels> date_bin($1::interval, minute, $2::timestamptz) AS step, sum(count)::bigint AS n
FROM <counts>
WHERE minute >= <start> AND minute < <end> AND <filter>
GROUP BY <keys> step

-- rows_of_minutes --
-- For steps of a minute: there is next to nothing to add up, and the day of eight levels takes a third of the time.
SELECT <labels> minute AS step, count AS n
FROM <counts>
WHERE minute >= <start> AND minute < <end> AND <filter>

-- series --
-- In the last row labels are NULL: it is all the series that are not shown. What came and went adds up to nothing and is none.
WITH counted AS (
    <counted>
), added AS (
    SELECT ARRAY[<names>]::text[] AS labels, sum(n)::bigint AS total, array_agg(n) AS counts,
           array_agg(round((date_part('epoch', step) - date_part('epoch', $2::timestamptz))
                           / date_part('epoch', $1::interval))::integer) AS positions
    FROM counted
    GROUP BY <groups>
    HAVING sum(n) <> 0
), series AS (
    SELECT *, row_number() OVER (ORDER BY total DESC, labels) AS rank FROM added
)
SELECT labels, 1 AS series, total, positions, counts FROM series WHERE rank <= $3::integer
UNION ALL
SELECT NULL, (SELECT count(*) FROM series WHERE rank > $3::integer), sum(n)::bigint, array_agg(position), array_agg(n)
FROM (
    SELECT position, sum(n)::bigint AS n
    FROM series, unnest(positions, counts) AS point (position, n)
    WHERE rank > $3::integer
    GROUP BY position
) AS rest
HAVING count(*) > 0
