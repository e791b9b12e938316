-- probe --
SELECT 1

-- prune_marks --
DELETE FROM spool_marks WHERE spool_id = $1 AND stored_at < $2

-- prune_requests --
DELETE FROM request_marks WHERE stored_at < $1
