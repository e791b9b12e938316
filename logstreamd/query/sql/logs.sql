-- Every parameter is bound; a NULL one does not restrict. The session plans each execution anew
-- (plan_cache_mode = force_custom_plan), so that partitions are pruned by the times that were really asked for.

-- newest --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM logs
WHERE ts >= $1
  AND ts < $2
  AND ($3::smallint[] IS NULL OR severity = ANY ($3::smallint[]))
  AND ($4::text[] IS NULL OR service = ANY ($4::text[]))
  AND ($5::text[] IS NULL OR host = ANY ($5::text[]))
  AND ($6::text[] IS NULL OR trace_id = ANY ($6::text[]))
  AND ($7::text[] IS NULL OR message ILIKE ALL ($7::text[]))
  AND ($8::timestamptz IS NULL OR (ts, id) < ($8::timestamptz, $9::bigint))
ORDER BY ts DESC, id DESC
LIMIT $10

-- oldest --
SELECT id, ts, received_at, severity, facility, host, service, proc_id, msg_id, trace_id, message,
       attrs::text AS attrs, input, host(peer) AS peer
FROM logs
WHERE ts >= $1
  AND ts < $2
  AND ($3::smallint[] IS NULL OR severity = ANY ($3::smallint[]))
  AND ($4::text[] IS NULL OR service = ANY ($4::text[]))
  AND ($5::text[] IS NULL OR host = ANY ($5::text[]))
  AND ($6::text[] IS NULL OR trace_id = ANY ($6::text[]))
  AND ($7::text[] IS NULL OR message ILIKE ALL ($7::text[]))
  AND ($8::timestamptz IS NULL OR (ts, id) > ($8::timestamptz, $9::bigint))
ORDER BY ts, id
LIMIT $10
