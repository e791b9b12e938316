-- What each stored batch is about, so that a search opens only those that can match, and how many rows each minute has.

CREATE TABLE public.blocks (
    day             date        NOT NULL,
    first_id        bigint      NOT NULL,
    last_id         bigint      NOT NULL,
    ts_min          timestamptz NOT NULL,
    ts_max          timestamptz NOT NULL,
    row_count       integer     NOT NULL,
    byte_count      integer     NOT NULL DEFAULT 0,
    severity_counts integer[]   NOT NULL,
    services        text[],
    hosts           text[],
    bloom           bytea
);
-- Uncompressed and beside the row, so that asking for a word reads 32 bytes of it.
ALTER TABLE public.blocks ALTER COLUMN bloom SET STORAGE EXTERNAL;
CREATE INDEX blocks_ts_max ON public.blocks (ts_max);
CREATE INDEX blocks_day ON public.blocks (day, first_id);
-- What maintenance still has to do: a block of the size that a busy system writes is in here for no time at all.
CREATE INDEX blocks_to_merge ON public.blocks (day, first_id)
    WHERE bloom IS NULL OR (row_count < 2048 AND byte_count < 262144);

COMMENT ON TABLE public.blocks IS 'What the rows of logs are about, one row per stored batch and UTC day; small neighbours become one later';
COMMENT ON COLUMN public.blocks.day IS 'UTC day of the rows, and so their partition of logs';
COMMENT ON COLUMN public.blocks.first_id IS 'logs.id of the first row; rows of other days or of a later batch may lie between the first and the last';
COMMENT ON COLUMN public.blocks.last_id IS 'logs.id of the last row';
COMMENT ON COLUMN public.blocks.ts_min IS 'No row is earlier';
COMMENT ON COLUMN public.blocks.ts_max IS 'No row is later';
COMMENT ON COLUMN public.blocks.row_count IS 'Rows stored, exactly';
COMMENT ON COLUMN public.blocks.byte_count IS 'How many bytes they are, about';
COMMENT ON COLUMN public.blocks.severity_counts IS 'Rows by severity, exactly; element 1 is severity 0';
COMMENT ON COLUMN public.blocks.services IS 'Every service that occurs (some may be gone); NULL: not known';
COMMENT ON COLUMN public.blocks.hosts IS 'Every host that occurs (some may be gone); NULL: not known';
COMMENT ON COLUMN public.blocks.bloom IS 'Bloom filter of the words in message, service, host, trace_id and values of attrs, see block_may_contain; NULL: not known';
COMMENT ON INDEX public.blocks_ts_max IS 'Newest blocks first';
COMMENT ON INDEX public.blocks_day IS 'Blocks of a day in the order of arrival';
COMMENT ON INDEX public.blocks_to_merge IS 'Blocks that logstreamd will merge with their neighbours, or look at for the first time';

-- COPY fills gaps in earlier pages with short rows, a few in most ranges: with one range of ids for each range of pages, a
-- batch of 300 pages was looked for in 1,000 to 1,900. A few ranges of ids for each leave 480, for 0.3 KB a megabyte.
DROP INDEX public.logs_id_brin;
CREATE INDEX logs_id_brin ON public.logs USING brin (id int8_minmax_multi_ops (values_per_range = 8)) WITH (pages_per_range = 32);
COMMENT ON INDEX public.logs_id_brin IS 'Finds the pages of a batch';

-- A batch adds one row here and waits for nobody. logstreamd folds these rows into the two tables below within seconds;
-- the views log_counts and log_totals add up both, so that they are exact at any moment.
CREATE TABLE public.batch_counts (
    minutes          integer[]  NOT NULL,
    services         text[]     NOT NULL,
    severities       smallint[] NOT NULL,
    counts           bigint[]   NOT NULL,
    total_minutes    integer[]  NOT NULL,
    total_severities smallint[] NOT NULL,
    totals           bigint[]   NOT NULL
);
COMMENT ON TABLE public.batch_counts IS 'Counts of single batches that are not folded yet; ask log_counts and log_totals';
COMMENT ON COLUMN public.batch_counts.minutes IS 'Minutes since the epoch';
COMMENT ON COLUMN public.batch_counts.services IS 'Beside each minute a service, NULL for rows without one';
COMMENT ON COLUMN public.batch_counts.severities IS 'Beside each minute a severity';
COMMENT ON COLUMN public.batch_counts.counts IS 'Beside each minute how many rows came (or, when negative, went)';
COMMENT ON COLUMN public.batch_counts.total_minutes IS 'Minutes since the epoch';
COMMENT ON COLUMN public.batch_counts.total_severities IS 'Beside each minute a severity';
COMMENT ON COLUMN public.batch_counts.totals IS 'Beside each minute how many rows came or went, of all services';

-- Rows of the current minute are replaced every few seconds.
-- No unique key: an index of all three columns would be as large as the table, and only one session folds at a time.
CREATE TABLE public.folded_counts (
    minute   timestamptz NOT NULL,
    service  text,
    severity smallint    NOT NULL,
    count    bigint      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX folded_counts_minute ON public.folded_counts (minute);
COMMENT ON TABLE public.folded_counts IS 'Counts of rows by minute, service and severity, as far as they are folded; ask log_counts';
COMMENT ON COLUMN public.folded_counts.minute IS 'Begin of the minute of ts';
COMMENT ON COLUMN public.folded_counts.service IS 'As in logs; NULL for rows without one';
COMMENT ON COLUMN public.folded_counts.severity IS 'As in logs';
COMMENT ON COLUMN public.folded_counts.count IS 'Rows';
COMMENT ON INDEX public.folded_counts_minute IS 'Counts of a time range';

CREATE TABLE public.folded_totals (
    minute   timestamptz NOT NULL,
    severity smallint    NOT NULL,
    count    bigint      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX folded_totals_minute ON public.folded_totals (minute);
COMMENT ON TABLE public.folded_totals IS 'Counts of rows by minute and severity, as far as they are folded; ask log_totals';
COMMENT ON COLUMN public.folded_totals.minute IS 'Begin of the minute of ts';
COMMENT ON COLUMN public.folded_totals.severity IS 'As in logs';
COMMENT ON COLUMN public.folded_totals.count IS 'Rows';
COMMENT ON INDEX public.folded_totals_minute IS 'Totals of a time range';

CREATE VIEW public.log_counts AS
SELECT minute, service, severity, count FROM public.folded_counts
UNION ALL
SELECT to_timestamp(one.minute * 60::double precision), one.service, one.severity, one.count
FROM public.batch_counts, unnest(minutes, services, severities, counts) AS one (minute, service, severity, count);
COMMENT ON VIEW public.log_counts IS 'How many rows of logs each minute, service and severity has, exactly; several rows of one kind add up';
COMMENT ON COLUMN public.log_counts.minute IS 'Begin of the minute of ts';
COMMENT ON COLUMN public.log_counts.service IS 'As in logs; NULL for rows without one';
COMMENT ON COLUMN public.log_counts.severity IS 'As in logs';
COMMENT ON COLUMN public.log_counts.count IS 'Rows; add up those of one kind';

CREATE VIEW public.log_totals AS
SELECT minute, severity, count FROM public.folded_totals
UNION ALL
SELECT to_timestamp(one.minute * 60::double precision), one.severity, one.count
FROM public.batch_counts, unnest(total_minutes, total_severities, totals) AS one (minute, severity, count);
COMMENT ON VIEW public.log_totals IS 'The same as log_counts without the services: the quicker one where they don''t matter';
COMMENT ON COLUMN public.log_totals.minute IS 'Begin of the minute of ts';
COMMENT ON COLUMN public.log_totals.severity IS 'As in logs';
COMMENT ON COLUMN public.log_totals.count IS 'Rows; add up those of one kind';

-- Its cost is what it adds to a row on average, since what is cheaper is asked first and rules most rows out: with PostgreSQL's 100 even
-- a single block would be read by several processes, which take longer to start than to read it.
CREATE FUNCTION public.logstreamd_any_match(items jsonb, pattern text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10 AS $$
BEGIN
    FOR n IN 0 .. jsonb_array_length(items) - 1 LOOP
        IF (items ->> n) COLLATE "C" ~ pattern THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
COMMENT ON FUNCTION public.logstreamd_any_match IS 'Whether the text of any item of a JSON array matches a regular expression';

-- For people with psql: what a search does with the filters. logstreamd itself hashes in the daemon.

CREATE FUNCTION public.logstreamd_tokens(words text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT left(token, 64)
    FROM regexp_split_to_table(
        lower(translate(words, U&'\0130\03A3', U&'i\03C3')),
        '['
        '\u0001-\u002F\u003A-\u0040\u005B-\u005E\u0060\u007B-\u007F\u0080-\u00A9\u00AB-\u00B1\u00B4'
        '\u00B6-\u00B8\u00BB\u00BF\u00D7\u00F7\u02C2-\u02C5\u02D2-\u02DF\u037E\u0387\u055A-\u055F'
        '\u0589-\u058A\u05BE\u05C0\u05C3\u05C6\u05F3-\u05F4\u0606-\u060F\u061B-\u061F\u066A-\u066D\u06D4'
        '\u0700-\u070D\u0964-\u0965\u0E5A-\u0E5B\u0F04-\u0F14\u104A-\u104F\u10FB\u1360-\u1368\u1400'
        '\u166D-\u166E\u1680\u16EB-\u16ED\u17D4-\u17D6\u17D8-\u17DB\u1800-\u180A\u2000-\u206F'
        '\u207A-\u207E\u208A-\u208E\u20A0-\u20CF\u2116-\u2118\u211E-\u2123\u2190-\u245F\u2500-\u2775'
        '\u2794-\u2BFF\u2E00-\u2E7F\u3000-\u3004\u3008-\u3020\u3030\u303D-\u303F\u30A0\u30FB\uE000-\uF8FF'
        '\uFE10-\uFE19\uFE30-\uFE6F\uFEFF-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65\uFFE0-\uFFFF'
        '\U0001F000-\U0001FAFF\U000E0000-\U000E007F\U000F0000-\U0010FFFF'
        ']+'
    ) AS token
    WHERE token <> ''
$$;
COMMENT ON FUNCTION public.logstreamd_tokens IS 'The words of a text as the filters of blocks know them: lower case, cut to 64 characters';

CREATE FUNCTION public.logstreamd_token_hash(token text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    data     bytea := convert_to(token, 'UTF8');
    two_64   CONSTANT numeric := 18446744073709551616;
    value    numeric := mod(length(data) * 11400714819323198485, two_64);
    word     numeric;
    high     bigint;
    low      bigint;
BEGIN
    FOR start IN 0 .. length(data) - 1 BY 8 LOOP
        word := 0;
        FOR place IN REVERSE least(start + 7, length(data) - 1) .. start LOOP
            word := word * 256 + get_byte(data, place);
        END LOOP;
        -- numeric knows no exclusive or: the upper and the lower 32 bits for themselves.
        high := div(value, 4294967296)::bigint # div(word, 4294967296)::bigint;
        low := mod(value, 4294967296)::bigint # mod(word, 4294967296)::bigint;
        value := mod((high * 4294967296::numeric + low) * 18397679294719823053, two_64);
        high := div(value, 4294967296)::bigint;
        value := high * 4294967296::numeric + (mod(value, 4294967296)::bigint # high);
    END LOOP;
    value := mod(value * 14181476777654086739, two_64);
    high := div(value, 4294967296)::bigint;
    low := mod(value, 4294967296)::bigint # div(value, 536870912)::bigint & 4294967295;
    high := high # div(value, 2305843009213693952)::bigint;
    RETURN (high << 32) | low;
END
$$;
COMMENT ON FUNCTION public.logstreamd_token_hash IS 'The 64-bit hash by which a word finds its bits in the filter of a block';

CREATE FUNCTION public.logstreamd_word_hashes(words text) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(public.logstreamd_token_hash(token)), '{}') FROM public.logstreamd_tokens(words) AS token
$$;
COMMENT ON FUNCTION public.logstreamd_word_hashes IS 'The hashes of the words of a text';

CREATE FUNCTION public.logstreamd_bloom_has(bloom bytea, hashes bigint[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    salts  CONSTANT bigint[] := '{1203114875,1150766481,2284105051,2729912477,1884591559,770785867,2667333959,1550580529}';
    cells  CONSTANT bigint := octet_length(bloom) / 32;
    hash   bigint;
    low    bigint;
    cell   bytea;
BEGIN
    FOREACH hash IN ARRAY hashes LOOP
        IF cells = 0 THEN
            RETURN false;
        END IF;
        low := hash & 4294967295;
        cell := substring(bloom FROM (1 + 32 * (((hash >> 32) & 4294967295) * cells >> 32))::integer FOR 32);
        FOR word IN 0 .. 7 LOOP
            -- The highest 5 of the lower 32 bits of low * salt, in two steps that stay below 2^63.
            IF get_bit(cell, 32 * word + ((
                ((low * (salts[word + 1] >> 16) & 65535) << 16) + low * (salts[word + 1] & 65535)
                & 4294967295) >> 27)::integer) = 0 THEN
                RETURN false;
            END IF;
        END LOOP;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION public.logstreamd_bloom_has IS 'Whether a filter may have all of these hashes; false is certain';

CREATE FUNCTION public.block_may_contain(bloom bytea, words text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- So that the words, which are the same for every block, are hashed once.
    SELECT bloom IS NULL OR public.logstreamd_bloom_has(bloom, public.logstreamd_word_hashes(words))
$$;
COMMENT ON FUNCTION public.block_may_contain IS 'Whether a block with this filter may have a row with all of these words; false is certain';

CREATE VIEW public.log_lines AS
SELECT ts, (ARRAY['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'])[severity + 1] AS level,
       host, service, message, attrs, trace_id, severity, id
FROM public.logs;
COMMENT ON VIEW public.log_lines IS 'logs for people: the level by its name, what one reads first in front; filter by ts and severity as in logs';
COMMENT ON COLUMN public.log_lines.ts IS 'Time of the event';
COMMENT ON COLUMN public.log_lines.level IS 'Name of the severity';
COMMENT ON COLUMN public.log_lines.host IS 'Host that the line names';
COMMENT ON COLUMN public.log_lines.service IS 'Program that logged';
COMMENT ON COLUMN public.log_lines.message IS 'The text';
COMMENT ON COLUMN public.log_lines.attrs IS 'Other fields';
COMMENT ON COLUMN public.log_lines.trace_id IS 'Id of the request or trace';
COMMENT ON COLUMN public.log_lines.severity IS '0 emergency .. 7 debug';
COMMENT ON COLUMN public.log_lines.id IS 'Grows with arrival';

CREATE VIEW public.counts_by_hour AS
SELECT date_trunc('hour', minute, 'UTC') AS hour, service,
       (ARRAY['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'])[severity + 1] AS level,
       sum(count)::bigint AS count
FROM public.log_counts
GROUP BY 1, 2, severity
HAVING sum(count) <> 0;
COMMENT ON VIEW public.counts_by_hour IS 'How many rows each hour (UTC), service and level has, exactly';
COMMENT ON COLUMN public.counts_by_hour.hour IS 'Begin of the hour';
COMMENT ON COLUMN public.counts_by_hour.service IS 'As in logs';
COMMENT ON COLUMN public.counts_by_hour.level IS 'Name of the severity';
COMMENT ON COLUMN public.counts_by_hour.count IS 'Rows';

CREATE VIEW public.days AS
SELECT day, sum(row_count)::bigint AS row_count, count(*) AS blocks, min(ts_min) AS ts_min, max(ts_max) AS ts_max,
       pg_total_relation_size(to_regclass('public.logs_' || to_char(day, 'YYYYMMDD'))) AS byte_count,
       sum(octet_length(bloom))::bigint AS bloom_bytes
FROM public.blocks
GROUP BY day;
COMMENT ON VIEW public.days IS 'What each stored day (UTC) has and takes';
COMMENT ON COLUMN public.days.day IS 'UTC day';
COMMENT ON COLUMN public.days.row_count IS 'Rows, exactly';
COMMENT ON COLUMN public.days.blocks IS 'Its blocks';
COMMENT ON COLUMN public.days.ts_min IS 'No row is earlier';
COMMENT ON COLUMN public.days.ts_max IS 'No row is later';
COMMENT ON COLUMN public.days.byte_count IS 'Its partition of logs on disk, with indexes; NULL when it has none';
COMMENT ON COLUMN public.days.bloom_bytes IS 'The filters of its blocks';

-- What was stored before: its blocks are looked at by and by, its counts are exact at once. Batches under way are waited for.
LOCK TABLE public.logs IN SHARE MODE;
INSERT INTO public.blocks (day, first_id, last_id, ts_min, ts_max, row_count, byte_count, severity_counts)
SELECT (ts AT TIME ZONE 'UTC')::date, min(id), max(id), min(ts), max(ts), count(*),
       least(sum(octet_length(message)) + 100 * count(*), 2147483647),
       ARRAY[count(*) FILTER (WHERE severity = 0), count(*) FILTER (WHERE severity = 1),
             count(*) FILTER (WHERE severity = 2), count(*) FILTER (WHERE severity = 3),
             count(*) FILTER (WHERE severity = 4), count(*) FILTER (WHERE severity = 5),
             count(*) FILTER (WHERE severity = 6), count(*) FILTER (WHERE severity = 7)]
FROM public.logs
GROUP BY 1, id >> 16;
INSERT INTO public.folded_counts (minute, service, severity, count)
SELECT date_trunc('minute', ts, 'UTC'), service, severity, count(*) FROM public.logs GROUP BY 1, 2, 3;
INSERT INTO public.folded_totals (minute, severity, count)
SELECT minute, severity, sum(count) FROM public.folded_counts GROUP BY 1, 2;
