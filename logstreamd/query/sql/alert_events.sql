-- Queries of alert_events.py and silences.py.

-- newest --
SELECT id, at, alert, fingerprint, before, after, labels, annotations, value, active_at, starts_at, ends_at, reason,
       samples
FROM alert_events
WHERE at >= $1 AND at < $2
  AND ($3::text[] IS NULL OR alert = ANY ($3)) AND ($4::text[] IS NULL OR after = ANY ($4))
  AND ($5::text[] IS NULL OR fingerprint = ANY ($5)) AND labels @> $6::jsonb
  AND ($7::timestamptz IS NULL OR (at, id) < ($7, $8::bigint))
ORDER BY at DESC, id DESC LIMIT $9

-- oldest --
SELECT id, at, alert, fingerprint, before, after, labels, annotations, value, active_at, starts_at, ends_at, reason,
       samples
FROM alert_events
WHERE at >= $1 AND at < $2
  AND ($3::text[] IS NULL OR alert = ANY ($3)) AND ($4::text[] IS NULL OR after = ANY ($4))
  AND ($5::text[] IS NULL OR fingerprint = ANY ($5)) AND labels @> $6::jsonb
  AND ($7::timestamptz IS NULL OR (at, id) > ($7, $8::bigint))
ORDER BY at, id LIMIT $9

-- silences --
SELECT id, matchers, author, comment, starts_at, ends_at, created_at, updated_at,
       CASE WHEN ends_at <= $1 THEN 'expired' WHEN starts_at > $1 THEN 'pending' ELSE 'active' END AS state
FROM silences
WHERE $2::uuid IS NULL OR id = $2
ORDER BY ends_at DESC, id LIMIT $3
