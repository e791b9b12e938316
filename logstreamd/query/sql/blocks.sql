-- Questions to the table blocks. <conditions> are put together from the conditions below; everything in them that comes from a
-- filter is bound, and of its words only hashes.

-- newest --
SELECT day, first_id, last_id, ts_min, ts_max, row_count
FROM blocks
WHERE (ts_max, first_id) < ($1::timestamptz, $2::bigint) AND <conditions>
ORDER BY ts_max DESC, first_id DESC
LIMIT $3

-- oldest --
-- A block lies within its day, so days in order are times in order; the index on the day serves where ts_min has none.
SELECT day, first_id, last_id, ts_min, ts_max, row_count
FROM blocks
WHERE day >= ($1::timestamptz AT TIME ZONE 'UTC')::date AND (ts_min, first_id) > ($1::timestamptz, $2::bigint)
  AND <conditions>
ORDER BY day, ts_min, first_id
LIMIT $3

-- skipped --
SELECT reason, count(*) AS blocks FROM (SELECT CASE <reasons> END AS reason FROM blocks) AS looked_at GROUP BY reason

-- reason --
WHEN NOT (<condition>) THEN '<reason>'

-- in_time --
ts_max >= <start>::timestamptz AND ts_min < <end>::timestamptz

-- has_severity --
EXISTS (SELECT FROM unnest(<severities>::integer[]) AS severity WHERE severity_counts[severity + 1] > 0)

-- lists --
(<names> IS NULL OR <names> && <exact>::text[])

-- lists_similar --
(<names> IS NULL OR EXISTS (SELECT FROM unnest(<names>) AS name
                            WHERE name = ANY (<exact>::text[]) OR name ^@ ANY (<prefixes>::text[])))

-- has_words --
(bloom IS NULL OR (<words>))

-- has_token --
-- OFFSET 0: the cell is read once and not for each of its bits.
CASE WHEN octet_length(bloom) > 0 THEN
    (SELECT get_bit(cell, (<bits>::integer[])[1]) = 1 AND get_bit(cell, (<bits>::integer[])[2]) = 1
        AND get_bit(cell, (<bits>::integer[])[3]) = 1 AND get_bit(cell, (<bits>::integer[])[4]) = 1
        AND get_bit(cell, (<bits>::integer[])[5]) = 1 AND get_bit(cell, (<bits>::integer[])[6]) = 1
        AND get_bit(cell, (<bits>::integer[])[7]) = 1 AND get_bit(cell, (<bits>::integer[])[8]) = 1
     FROM (SELECT substring(bloom FROM (1 + (<high>::bigint * (octet_length(bloom) / 32) >> 32 << 5))::integer FOR 32)
           AS cell OFFSET 0) AS one)
ELSE false END
