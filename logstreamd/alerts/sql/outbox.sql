-- put --
INSERT OR REPLACE INTO alerts (notifier, fingerprint, starts_at, waiting_since, told_at, interval_seconds, alert)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- delete --
DELETE FROM alerts WHERE notifier = ? AND fingerprint = ? AND starts_at = ?;

-- all --
SELECT notifier, waiting_since, told_at, interval_seconds, alert FROM alerts;
