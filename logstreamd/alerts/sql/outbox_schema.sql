-- What each notifier knows: one row for each firing of an alert. waiting_since is set while something about it has not
-- been told. Times are seconds since the epoch; starts_at is in microseconds, to be exact.
CREATE TABLE alerts (
    notifier         TEXT    NOT NULL,
    fingerprint      TEXT    NOT NULL,
    starts_at        INTEGER NOT NULL,
    waiting_since    REAL,
    told_at          REAL,
    interval_seconds REAL    NOT NULL,
    alert            BLOB    NOT NULL,
    PRIMARY KEY (notifier, fingerprint, starts_at)
) STRICT, WITHOUT ROWID;
