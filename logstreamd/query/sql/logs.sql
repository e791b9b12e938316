-- Every parameter is bound; <filter> is what the filter language compiles to, <order> one of two. The session plans each
-- execution anew (plan_cache_mode = force_custom_plan), so that partitions are pruned by the times that were really asked for.

-- newest --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM logs
WHERE ts >= $1 AND ts < $2
  AND ($3::timestamptz IS NULL OR (ts, id) < ($3::timestamptz, $4::bigint))
  AND <filter>
ORDER BY ts DESC, id DESC
LIMIT $5

-- oldest --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM logs
WHERE ts >= $1 AND ts < $2
  AND ($3::timestamptz IS NULL OR (ts, id) > ($3::timestamptz, $4::bigint))
  AND <filter>
ORDER BY ts, id
LIMIT $5
