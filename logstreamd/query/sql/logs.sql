-- Every parameter is bound; <filter> is what the filter language compiles to, <ids> a list of ranges. The session plans each
-- execution anew (plan_cache_mode = force_custom_plan), so that partitions are pruned by the times that were really asked for.

-- newest --
-- The rows are made readable outside: it takes longer than to find them, and inside it would be done to all of a block.
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM (
    SELECT * FROM logs
    WHERE ts >= $1 AND ts < $2
      AND ($3::timestamptz IS NULL OR (ts, id) < ($3::timestamptz, $4::bigint))
      AND (<ids>) AND <filter>
    ORDER BY ts DESC, id DESC
    LIMIT $5
) AS best

-- oldest --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM (
    SELECT * FROM logs
    WHERE ts >= $1 AND ts < $2
      AND ($3::timestamptz IS NULL OR (ts, id) > ($3::timestamptz, $4::bigint))
      AND (<ids>) AND <filter>
    ORDER BY ts, id
    LIMIT $5
) AS best

-- ids --
id BETWEEN <first>::bigint AND <last>::bigint

-- newest_errors --
-- By the index logs_errors, which has the errors of each service in the order of time.
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM unnest($6::text[]) AS wanted (name)
CROSS JOIN LATERAL (
    SELECT * FROM logs
    WHERE service = wanted.name AND severity <= 3 AND ts >= $1 AND ts < $2
      AND ($3::timestamptz IS NULL OR (ts, id) < ($3::timestamptz, $4::bigint))
      AND <filter>
    ORDER BY ts DESC, id DESC
    LIMIT $5
) AS found
ORDER BY ts DESC, id DESC
LIMIT $5

-- oldest_errors --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM unnest($6::text[]) AS wanted (name)
CROSS JOIN LATERAL (
    SELECT * FROM logs
    WHERE service = wanted.name AND severity <= 3 AND ts >= $1 AND ts < $2
      AND ($3::timestamptz IS NULL OR (ts, id) > ($3::timestamptz, $4::bigint))
      AND <filter>
    ORDER BY ts, id
    LIMIT $5
) AS found
ORDER BY ts, id
LIMIT $5
