"""PostgreSQL: the embedded server, connections, schema, partitions, and the transaction that stores a batch."""
