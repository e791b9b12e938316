from collections.abc import Callable

from logstreamd.wire.batch import Batch
from logstreamd.wire.ingest_body import Body

__all__ = ["read_body"]

def read_body(body: bytes | bytearray, new_batch: Callable[[], Batch], *, received_at: int, max_lines: int) -> Body: ...
