-- Which blocks came between two moments, in whatever order their transactions ended: what a live tail asks.

-- Without a default first: blocks that are there already are nobody's news.
ALTER TABLE public.blocks ADD COLUMN xid xid8;
ALTER TABLE public.blocks ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
COMMENT ON COLUMN public.blocks.xid IS 'Transaction that stored the block, to compare with a pg_snapshot: new is what that snapshot does not see';

-- A block that spans two batches was merged from older ones, and is no news either.
CREATE INDEX blocks_xid ON public.blocks (xid) WHERE first_id >> 16 = last_id >> 16;
COMMENT ON INDEX public.blocks_xid IS 'Blocks of single batches, as their transactions were begun';
