-- Queries of partitions.py. {partition}, {first} and {end} are made from dates by our own code; nothing else is filled in.

-- take_turns --
-- One daemon at a time makes or drops partitions; without it two would wait for each other's locks.
SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock(hashtextextended('logstreamd partitions', 0))

-- attached --
SELECT child.relname AS name
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'public.logs'::regclass AND child.relname ~ '^logs_\d{8}$' AND NOT inhdetachpending

-- exists --
SELECT to_regclass('public.' || $1) IS NOT NULL

-- make --
-- ATTACH instead of CREATE TABLE ... PARTITION OF, which would lock out every reader and writer of logs. What it does lock is
-- the default partition, to see that no row of that day is in it; so rows found there are moved first, under that lock.
LOCK TABLE ONLY public.logs IN SHARE UPDATE EXCLUSIVE MODE;
LOCK TABLE public.logs_default IN ACCESS EXCLUSIVE MODE;
CREATE TABLE public.{partition} (LIKE public.logs INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMMENTS);
WITH moved AS (
    DELETE FROM public.logs_default WHERE ts >= '{first}' AND ts < '{end}' RETURNING *
)
INSERT INTO public.{partition} SELECT * FROM moved;
ALTER TABLE public.logs ATTACH PARTITION public.{partition} FOR VALUES FROM ('{first}') TO ('{end}');
COMMENT ON TABLE public.{partition} IS 'Log lines of {day} (UTC)';

-- size --
SELECT pg_total_relation_size('public.{partition}')

-- detach --
-- DETACH ... CONCURRENTLY is not for tables with a default partition. This one locks out everybody, but only for a moment:
-- the files are removed afterwards, when nobody waits. The name says that it is ours to drop, should we die in between.
ALTER TABLE public.logs DETACH PARTITION public.{partition};
ALTER TABLE public.{partition} RENAME TO {partition}_expired;

-- expired --
SELECT relname AS name FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname ~ '^logs_\d{8}_expired$'
ORDER BY relname

-- drop --
DROP TABLE public.{partition}_expired

-- summarize --
-- Pages that are not in a BRIN yet are read by every query.
SELECT sum(brin_summarize_new_values(pg_index.indexrelid))::integer
FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_am ON pg_am.oid = relam AND amname = 'brin'
WHERE indrelid = to_regclass('public.' || $1)
