-- Queries of alerting.py.

-- try_lead --
SELECT pg_try_advisory_lock(hashtextextended('logstreamd alerts', 0))

-- lease --
SELECT set_config('idle_session_timeout', $1, false)

-- end_earlier --
-- Process numbers are used again; whom it hits by mistake is an evaluator of ours that connects anew.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND usename = current_user AND application_name = current_setting('application_name')

-- states --
SELECT rule, state, alerts, notify, interval_seconds, handed_over,
       extract(epoch FROM now() - saved_at)::double precision AS age_seconds
FROM alert_state

-- samples_of_firing --
SELECT fingerprint, starts_at, samples FROM alert_events
WHERE after = 'firing' AND (fingerprint, starts_at) IN (
    SELECT one->>'fingerprint', (one->>'starts_at')::timestamptz
    FROM alert_state CROSS JOIN LATERAL jsonb_array_elements(alerts) AS one
) AND samples <> '[]'

-- put_states --
INSERT INTO alert_state (rule, state, alerts, notify, interval_seconds, handed_over)
SELECT rule, state, alerts, notify, interval_seconds, handed_over
FROM jsonb_to_recordset($1::jsonb) AS one (
    rule text, state jsonb, alerts jsonb, notify text[], interval_seconds double precision, handed_over boolean
)
ON CONFLICT (rule) DO UPDATE SET
    state = excluded.state, alerts = excluded.alerts, notify = excluded.notify,
    interval_seconds = excluded.interval_seconds, handed_over = excluded.handed_over, saved_at = excluded.saved_at

-- delete_states --
DELETE FROM alert_state WHERE rule = ANY ($1::text[])

-- add_events --
INSERT INTO alert_events (at, alert, fingerprint, before, after, labels, annotations, value, active_at, starts_at,
                          ends_at, reason, samples)
SELECT at, alert, fingerprint, before, after, labels, annotations, value, active_at, starts_at, ends_at, reason,
       samples
FROM jsonb_to_recordset($1::jsonb) AS one (
    at timestamptz, alert text, fingerprint text, before text, after text, labels jsonb, annotations jsonb,
    value double precision, active_at timestamptz, starts_at timestamptz, ends_at timestamptz, reason text,
    samples jsonb
)

-- prune_events --
DELETE FROM alert_events WHERE id IN (
    (SELECT id FROM alert_events WHERE at < $1 ORDER BY at, id LIMIT $3)
    UNION ALL
    (SELECT id FROM alert_events WHERE id <= (SELECT max(id) FROM alert_events) - $2::bigint ORDER BY id LIMIT $3)
)

-- prune_silences --
DELETE FROM silences WHERE ends_at < $1

-- unexpired_silences --
SELECT id, matchers, starts_at, ends_at FROM silences WHERE ends_at > $1 ORDER BY starts_at, id

-- one_at_a_time --
-- Whoever changes silences waits for its turn, so that their number stays bounded.
SELECT pg_advisory_xact_lock(hashtextextended('logstreamd silences', 0))

-- count_unexpired --
SELECT count(*) FROM silences WHERE ends_at > $1 AND id IS DISTINCT FROM $2::uuid

-- add_silence --
INSERT INTO silences (matchers, author, comment, starts_at, ends_at) VALUES ($1::jsonb, $2, $3, $4, $5) RETURNING id

-- replace_silence --
UPDATE silences SET matchers = $2::jsonb, author = $3, comment = $4, starts_at = $5, ends_at = $6, updated_at = now()
WHERE id = $1 RETURNING id

-- end_silence --
UPDATE silences SET starts_at = least(starts_at, $2), ends_at = least(ends_at, $2), updated_at = now()
WHERE id = $1 RETURNING id
