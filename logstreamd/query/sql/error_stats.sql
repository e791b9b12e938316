-- Errors: rows of level error and worse, and rows with an HTTP status from 400 on. <status> is the expression of http_status.sql,
-- <filter> what the filter language compiles to, <candidate> the query of this name. $1 and $2 are the time range.

-- candidate --
-- What every error fulfils. Compared with a number, so that the planner expects few rows: of a condition it expects half of all, and
-- then it reads them in one process.
(severity <= 3 OR CASE WHEN <may_be_bad> THEN 1 ELSE 0 END = 1)

-- numbers --
-- One look at the rows for three sums. kind tells which columns are summed over: 3 is by status, 5 by service, 6 by step.
-- $3 is the length of a step, $4 where one begins, $5 how many services are shown.
WITH looked_at AS MATERIALIZED (
    SELECT severity <= 3 AS bad_level, <status> AS status, service, date_bin($3::interval, ts, $4::timestamptz) AS step, count(*) AS n
    FROM logs
    WHERE ts >= $1 AND ts < $2 AND <filter> AND <candidate>
    GROUP BY 1, 2, 3, 4
), errors AS (
    SELECT CASE WHEN status >= 400 THEN status END AS status, service, step, n
    FROM looked_at
    WHERE bad_level OR status >= 400
), sums AS (
    SELECT GROUPING(status, service, step) AS kind, status, service, step, sum(n)::bigint AS errors,
           row_number() OVER (PARTITION BY GROUPING(status, service, step) ORDER BY sum(n) DESC, service) AS rank
    FROM errors
    GROUP BY GROUPING SETS ((status), (service), (step))
)
SELECT kind, status, service, step, errors
FROM sums
WHERE kind <> 5 OR rank <= $5::integer
ORDER BY kind, errors DESC, status, service

-- recent --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer, CASE WHEN status >= 400 THEN status END AS status
FROM (SELECT *, <status> AS status FROM logs WHERE ts >= $1 AND ts < $2 AND <filter> AND <candidate>) AS looked_at
WHERE severity <= 3 OR status >= 400
ORDER BY ts DESC, id DESC
LIMIT $3
