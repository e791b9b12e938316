-- Errors: rows of level error and worse, and rows with an HTTP status from 400 on. <status> is the expression of http_status.sql,
-- <filter> what the filter language compiles to. $1 and $2 are the time range.

-- numbers --
-- One look at the rows for three sums. kind tells which columns are summed over: 3 is by status, 5 by service, 6 by step.
-- $3 is the length of a step, $4 where one begins, $5 how many services are shown.
WITH errors AS (
    SELECT CASE WHEN status >= 400 THEN status END AS status, service,
           date_bin($3::interval, ts, $4::timestamptz) AS step, count(*) AS n
    FROM (
        SELECT ts, severity, service, <status> AS status FROM logs WHERE ts >= $1 AND ts < $2 AND <filter>
    ) AS looked_at
    WHERE severity <= 3 OR status >= 400
    GROUP BY 1, 2, 3
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
FROM (SELECT *, <status> AS status FROM logs WHERE ts >= $1 AND ts < $2 AND <filter>) AS looked_at
WHERE severity <= 3 OR status >= 400
ORDER BY ts DESC, id DESC
LIMIT $3
