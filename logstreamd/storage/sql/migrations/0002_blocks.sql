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
COMMENT ON COLUMN public.blocks.services IS 'Every service that occurs; NULL: not known';
COMMENT ON COLUMN public.blocks.hosts IS 'Every host that occurs; NULL: not known';
COMMENT ON COLUMN public.blocks.bloom IS 'Bloom filter of the words in message, service, host, trace_id and values of attrs, see block_may_contain; NULL: not known';
COMMENT ON INDEX public.blocks_ts_max IS 'Newest blocks first';
COMMENT ON INDEX public.blocks_day IS 'Blocks of a day in the order of arrival';
COMMENT ON INDEX public.blocks_to_merge IS 'Blocks that logstreamd will merge with their neighbours, or look at for the first time';

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

-- No unique key: an index of all three columns would be as large as the table, and only one session folds at a time.
CREATE TABLE public.folded_counts (
    minute   timestamptz NOT NULL,
    service  text,
    severity smallint    NOT NULL,
    count    bigint      NOT NULL
);
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
    count    bigint      NOT NULL,
    PRIMARY KEY (minute, severity)
);
COMMENT ON TABLE public.folded_totals IS 'Counts of rows by minute and severity, as far as they are folded; ask log_totals';
COMMENT ON COLUMN public.folded_totals.minute IS 'Begin of the minute of ts';
COMMENT ON COLUMN public.folded_totals.severity IS 'As in logs';
COMMENT ON COLUMN public.folded_totals.count IS 'Rows';

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
