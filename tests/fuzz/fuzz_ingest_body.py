"""A fuzzer for the twins of read_body: libFuzzer looks for a body that they take apart differently.

It is guided by what both twins run through. Limits are small, so that a short body fills batches and meets them. The
body is exactly as long as it is, so that AddressSanitizer sees one byte too many.
"""

from __future__ import annotations

import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["logstreamd.wire", "logstreamd.record"]):
    from logstreamd.wire import ingest_body
    from logstreamd.wire.batch import Batch
    from logstreamd.wire.ingest_body import BodyError, TooManyLinesError

from logstreamd.wire import _ingest_body

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
MAX_LINES = 20


def outcome(read_body: Any, body: bytes) -> Any:
    """Return all that can be seen of a body once it was read, errors among it."""

    def new_batch() -> Batch:
        batch = Batch("fuzz", max_rows=3, max_bytes=400)
        batch.peer_id("192.0.2.1")
        return batch

    try:
        found = read_body(body, new_batch, received_at=ARRIVAL_US, max_lines=MAX_LINES)
    except (BodyError, TooManyLinesError) as problem:
        return type(problem), str(problem)
    parts = ("data", "ends", "received_at", "peer_ids", "flags", "peers")
    return [[getattr(batch, part) for part in parts] for batch in found.batches], found.rejected


def compare_twins(data: bytes) -> None:
    """Take a body apart with both twins; a difference is a finding."""
    if outcome(_ingest_body.read_body, data) != outcome(ingest_body.read_body, data):
        raise AssertionError(f"the twins differ on {data!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, compare_twins)
    atheris.Fuzz()
