-- What each stored batch is about, so that a search opens only those that can match, and how many rows each minute has.

CREATE TABLE public.blocks (
    day             date        NOT NULL,
    first_id        bigint      NOT NULL,
    last_id         bigint      NOT NULL,
    ts_min          timestamptz NOT NULL,
    ts_max          timestamptz NOT NULL,
    row_count       integer     NOT NULL,
    severity_counts integer[]   NOT NULL,
    services        text[],
    hosts           text[],
    bloom           bytea
);
-- Uncompressed and beside the row, so that asking for a word reads 32 bytes of it.
ALTER TABLE public.blocks ALTER COLUMN bloom SET STORAGE EXTERNAL;
CREATE INDEX blocks_ts_max ON public.blocks (ts_max);
CREATE INDEX blocks_day ON public.blocks (day, first_id);

COMMENT ON TABLE public.blocks IS 'One row per stored batch and UTC day: what its rows are about';
COMMENT ON COLUMN public.blocks.day IS 'UTC day of the rows, and so their partition of logs';
COMMENT ON COLUMN public.blocks.first_id IS 'logs.id of the first row; rows of other days may lie between the first and the last';
COMMENT ON COLUMN public.blocks.last_id IS 'logs.id of the last row';
COMMENT ON COLUMN public.blocks.ts_min IS 'No row is earlier';
COMMENT ON COLUMN public.blocks.ts_max IS 'No row is later';
COMMENT ON COLUMN public.blocks.row_count IS 'Rows stored';
COMMENT ON COLUMN public.blocks.severity_counts IS 'Rows by severity; element 1 is severity 0';
COMMENT ON COLUMN public.blocks.services IS 'Every service that occurs; NULL when they are more than 256';
COMMENT ON COLUMN public.blocks.hosts IS 'Every host that occurs; NULL when they are more than 256';
COMMENT ON COLUMN public.blocks.bloom IS 'Bloom filter of the words in message, service, host, trace_id and values of attrs; NULL: not known';
COMMENT ON INDEX public.blocks_ts_max IS 'Newest blocks first';
COMMENT ON INDEX public.blocks_day IS 'Blocks of a day in the order of arrival';

-- Rows are only added while logs are stored, so that writers never wait for each other; logstreamd folds them later.
CREATE TABLE public.log_counts (
    minute   timestamptz NOT NULL,
    service  text,
    severity smallint    NOT NULL,
    count    bigint      NOT NULL
);
CREATE INDEX log_counts_minute ON public.log_counts (minute);
COMMENT ON TABLE public.log_counts IS 'How many rows of logs each minute, service and severity has, exactly; several rows of one kind add up';
COMMENT ON COLUMN public.log_counts.minute IS 'Begin of the minute of ts';
COMMENT ON COLUMN public.log_counts.service IS 'As in logs; NULL for rows without one';
COMMENT ON COLUMN public.log_counts.severity IS 'As in logs';
COMMENT ON COLUMN public.log_counts.count IS 'Rows';
COMMENT ON INDEX public.log_counts_minute IS 'Counts of a time range';
