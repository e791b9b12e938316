-- try_turn --
SELECT pg_try_advisory_xact_lock(hashtextextended('logstreamd maintenance', 0))
