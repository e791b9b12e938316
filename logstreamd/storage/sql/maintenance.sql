-- probe --
SELECT 1

-- prune_marks --
DELETE FROM spool_marks WHERE spool_id = $1 AND stored_at < $2
