-- fold --
-- One statement, so that readers see a count in batch_counts or in the folded tables and never in both or in neither.
WITH pending AS MATERIALIZED (
    DELETE FROM batch_counts WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch_counts LIMIT $1)) RETURNING *
),
came AS MATERIALIZED (
    SELECT to_timestamp(one.minute * 60::double precision) AS minute, one.service, one.severity, one.count
    FROM pending, unnest(minutes, services, severities, counts) AS one (minute, service, severity, count)
),
kinds AS MATERIALIZED (
    SELECT DISTINCT minute, service, severity FROM came
),
-- What was folded of the same kinds is replaced. The array leads to the index, the row comparison to a hash join.
replaced AS (
    DELETE FROM folded_counts AS old USING kinds
    WHERE old.minute = ANY (ARRAY(SELECT DISTINCT minute FROM kinds))
      AND (old.minute, old.severity, coalesce(old.service, ''), old.service IS NULL)
        = (kinds.minute, kinds.severity, coalesce(kinds.service, ''), kinds.service IS NULL)
    RETURNING old.minute, old.service, old.severity, old.count
),
folded AS (
    INSERT INTO folded_counts (minute, service, severity, count)
    SELECT minute, service, severity, sum(count)
    FROM (SELECT * FROM came UNION ALL SELECT * FROM replaced) AS either
    GROUP BY minute, service, severity
    HAVING sum(count) <> 0
),
totals_came AS MATERIALIZED (
    SELECT to_timestamp(one.minute * 60::double precision) AS minute, one.severity, one.count
    FROM pending, unnest(total_minutes, total_severities, totals) AS one (minute, severity, count)
),
totals_kinds AS MATERIALIZED (
    SELECT DISTINCT minute, severity FROM totals_came
),
totals_replaced AS (
    DELETE FROM folded_totals AS old USING totals_kinds AS kinds
    WHERE old.minute = ANY (ARRAY(SELECT DISTINCT minute FROM totals_kinds))
      AND (old.minute, old.severity) = (kinds.minute, kinds.severity)
    RETURNING old.minute, old.severity, old.count
),
totals_folded AS (
    INSERT INTO folded_totals (minute, severity, count)
    SELECT minute, severity, sum(count)
    FROM (SELECT * FROM totals_came UNION ALL SELECT * FROM totals_replaced) AS either
    GROUP BY minute, severity
    HAVING sum(count) <> 0
)
SELECT (SELECT count(*) FROM pending) AS batches, (SELECT count(*) FROM came) AS counts
