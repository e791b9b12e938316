-- error_minutes --
-- Errors by service and minute, of the services that have $4 and more in one of the minutes from $2 on; the worst $5 of them.
SELECT service, array_agg(minute) AS minutes, array_agg(errors) AS errors
FROM (
    SELECT service, minute, sum(count)::bigint AS errors
    FROM log_counts
    WHERE minute >= $1 AND minute < $3 AND severity <= 3 AND <filter>
    GROUP BY service, minute
) AS by_minute
GROUP BY service
HAVING max(errors) FILTER (WHERE minute >= $2) >= $4::integer
ORDER BY max(errors) FILTER (WHERE minute >= $2) DESC, service
LIMIT $5

-- first_minute --
SELECT min(minute) FROM log_totals
