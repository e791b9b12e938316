-- claim_batch_numbers --
SELECT nextval('batch_number') AS number FROM generate_series(1, $1::integer)

-- mark --
-- No row comes back when the batch is stored already; waits while another backend holds the same mark uncommitted.
INSERT INTO spool_marks (spool_id, seq, row_count) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING true

-- mark_request --
INSERT INTO request_marks (request, part) VALUES ($1, $2)
ON CONFLICT DO NOTHING
RETURNING true

-- mark_nothing_stored --
UPDATE spool_marks SET row_count = 0 WHERE spool_id = $1 AND seq = $2

-- became_of --
SELECT row_count, (SELECT count(*) FROM quarantine WHERE spool_id = $1 AND seq = $2) AS quarantined
FROM spool_marks
WHERE spool_id = $1 AND seq = $2

-- quarantine --
INSERT INTO quarantine (received_at, input, peer, reason, raw, spool_id, seq, position)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- end_silent_backend --
-- Process numbers are used again; whom it hits by mistake is a writer of ours that connects anew.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND usename = current_user AND application_name = current_setting('application_name')
