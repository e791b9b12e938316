-- Queries of survey.py.

-- insert_block --
INSERT INTO blocks
    (day, first_id, last_id, ts_min, ts_max, row_count, byte_count, severity_counts, services, hosts, bloom)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- insert_counts_and_block --
-- One statement, because every round trip is time in which a connection stores nothing.
WITH counted AS (
    INSERT INTO batch_counts
        (minutes, services, severities, counts, total_minutes, total_severities, totals)
    VALUES ($12, $13, $14, $15, $16, $17, $18)
)
INSERT INTO blocks
    (day, first_id, last_id, ts_min, ts_max, row_count, byte_count, severity_counts, services, hosts, bloom)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
