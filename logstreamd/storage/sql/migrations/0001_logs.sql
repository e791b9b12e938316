-- The log itself, the markers that make storing exact, and what could not be stored. PostgreSQL 15 and newer.

-- Batch numbers. Several receivers may store into one database; each claims the numbers of its batches here.
-- A row's id is its batch number * 65536 + its position, so the last usable number is 2^47 - 1.
CREATE SEQUENCE public.batch_number AS bigint MINVALUE 1 MAXVALUE 140737488355327 NO CYCLE;
COMMENT ON SEQUENCE public.batch_number IS 'Numbers of stored batches; the id of a row is its batch number * 65536 + its position';

CREATE TABLE public.logs (
    id          bigint      NOT NULL,
    ts          timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    severity    smallint    NOT NULL,
    facility    smallint    NOT NULL,
    host        text,
    service     text,
    proc_id     text,
    msg_id      text,
    trace_id    text,
    message     text        NOT NULL,
    attrs       jsonb,
    input       text        NOT NULL,
    peer        inet,
    format      text        NOT NULL
) PARTITION BY RANGE (ts);

COMMENT ON TABLE public.logs IS 'Every received log line, partitioned by the UTC day of ts (logs_YYYYMMDD)';
COMMENT ON COLUMN public.logs.id IS 'Batch number * 65536 + position in the batch; grows with arrival';
COMMENT ON COLUMN public.logs.ts IS 'Time of the event, or of its arrival when the event names none that is believable';
COMMENT ON COLUMN public.logs.received_at IS 'When the line arrived here';
COMMENT ON COLUMN public.logs.severity IS '0 emergency, 1 alert, 2 critical, 3 error, 4 warning, 5 notice, 6 info, 7 debug (RFC 5424)';
COMMENT ON COLUMN public.logs.facility IS 'Which part of a system speaks, 0..23 (RFC 5424)';
COMMENT ON COLUMN public.logs.host IS 'Host that the line names; it is as trustworthy as its sender';
COMMENT ON COLUMN public.logs.service IS 'APP-NAME, TAG or JSON service: the program that logged';
COMMENT ON COLUMN public.logs.proc_id IS 'Process id or name as the line has it';
COMMENT ON COLUMN public.logs.msg_id IS 'Kind of message (MSGID of RFC 5424)';
COMMENT ON COLUMN public.logs.trace_id IS 'Id of the request or trace the line belongs to';
COMMENT ON COLUMN public.logs.message IS 'The text; the whole line when it could not be parsed';
COMMENT ON COLUMN public.logs.attrs IS 'Structured data and other JSON fields; key logstreamd holds notes about repairs. NULL when there are none';
COMMENT ON COLUMN public.logs.input IS 'Name of the input that received the line';
COMMENT ON COLUMN public.logs.peer IS 'Address of the sender as the kernel saw it; NULL for files and local sockets';
COMMENT ON COLUMN public.logs.format IS 'What the line was read as: rfc5424, rfc3164, json, cef, leef or raw';

-- BRIN only: a b-tree on every row more than halves what one connection can store, a trigram index takes 95 %.
-- There is no b-tree on id, either: ids lie on disk in the order of arrival, so the BRIN finds one within a few pages.
-- 32 pages hold some 1,500 rows, a tenth of a full batch. autosummarize stays off: its queue of 256 requests overflows at
-- full load, with one line in the server's log for each; logstreamd summarizes new ranges on a timer, VACUUM the rest.
CREATE INDEX logs_ts_brin ON public.logs USING brin (ts) WITH (pages_per_range = 32);
CREATE INDEX logs_id_brin ON public.logs USING brin (id) WITH (pages_per_range = 32);
-- Errors and worse are few and asked for most.
CREATE INDEX logs_errors ON public.logs (service, ts) WHERE severity <= 3;
COMMENT ON INDEX public.logs_ts_brin IS 'Finds the pages of a time range';
COMMENT ON INDEX public.logs_id_brin IS 'Finds the pages of a batch';
COMMENT ON INDEX public.logs_errors IS 'Errors and worse, by service and time';

-- For a day whose partition could not be made in time. Its rows move when the partition is made.
CREATE TABLE public.logs_default PARTITION OF public.logs DEFAULT;
COMMENT ON TABLE public.logs_default IS 'Rows of days without a partition; normally empty';

CREATE TABLE public.spool_marks (
    spool_id  uuid        NOT NULL,
    seq       bigint      NOT NULL,
    row_count integer     NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (spool_id, seq)
);
COMMENT ON TABLE public.spool_marks IS 'Which batches of which spool are stored, written in the transaction of the batch: a repeated batch is recognised';
COMMENT ON COLUMN public.spool_marks.spool_id IS 'The spool of one receiver';
COMMENT ON COLUMN public.spool_marks.seq IS 'Position of the batch in that spool';
COMMENT ON COLUMN public.spool_marks.row_count IS 'Lines of the batch that were stored, in logs or in quarantine; 0 for a repeated request';
COMMENT ON COLUMN public.spool_marks.stored_at IS 'When the batch was stored';

CREATE TABLE public.request_marks (
    request   uuid        NOT NULL,
    part      integer     NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request, part)
);
COMMENT ON TABLE public.request_marks IS 'HTTP requests with an Idempotency-Key that are stored: the same request is not stored a second time';
COMMENT ON COLUMN public.request_marks.request IS 'Made from the key and the body of the request';
COMMENT ON COLUMN public.request_marks.part IS 'Which batch of the request';
COMMENT ON COLUMN public.request_marks.stored_at IS 'When the batch was stored';

-- Texts only, and no check: what lands here was refused once and must not be refused again.
CREATE TABLE public.quarantine (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    received_at timestamptz,
    input       text        NOT NULL,
    peer        text,
    format      text,
    reason      text        NOT NULL,
    raw         bytea       NOT NULL,
    spool_id    uuid,
    seq         bigint,
    position    integer
);
CREATE INDEX quarantine_batch ON public.quarantine (spool_id, seq);
COMMENT ON INDEX public.quarantine_batch IS 'How many lines of a batch were set aside, when the batch comes a second time';
COMMENT ON TABLE public.quarantine IS 'Lines that PostgreSQL refused to store as rows of logs';
COMMENT ON COLUMN public.quarantine.id IS 'Grows with each line set aside';
COMMENT ON COLUMN public.quarantine.at IS 'When the line was set aside';
COMMENT ON COLUMN public.quarantine.received_at IS 'When the line arrived';
COMMENT ON COLUMN public.quarantine.input IS 'Name of the input that received the line';
COMMENT ON COLUMN public.quarantine.peer IS 'Address of the sender';
COMMENT ON COLUMN public.quarantine.format IS 'What the line was read as, when it came that far';
COMMENT ON COLUMN public.quarantine.reason IS 'Why it was refused: SQLSTATE and message';
COMMENT ON COLUMN public.quarantine.raw IS 'The line as it came, byte for byte';
COMMENT ON COLUMN public.quarantine.spool_id IS 'The spool its batch came from';
COMMENT ON COLUMN public.quarantine.seq IS 'Position of its batch in that spool';
COMMENT ON COLUMN public.quarantine.position IS 'Its position in the batch';
