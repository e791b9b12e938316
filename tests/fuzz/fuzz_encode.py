"""A fuzzer for the twins of encode: libFuzzer looks for a frame whose rows differ, or that is read beyond its end.

It is guided by what both twins run through. An input is a frame, or several with two NULs between them; the data of the
batch is exactly as long as they are, so that AddressSanitizer sees one byte too many.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["logstreamd.wire", "logstreamd.record"]):
    from logstreamd.wire import copy_binary
    from logstreamd.wire.batch import Batch
    from logstreamd.wire.policy import Policy

from logstreamd.wire import _encode

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
POLICIES = (Policy(), Policy(max_past_us=1 << 60, max_future_us=1 << 60))
MAX_FRAMES = 100


def compare_twins(data: bytes) -> None:
    """Encode the frames with both twins; a difference is a finding."""
    batch = Batch("fuzz")
    for frame in data.split(b"\0\0")[:MAX_FRAMES]:
        batch.append(frame, ARRIVAL_US, batch.peer_id("192.0.2.1"))
    batch.data = bytearray(bytes(batch.data))
    for policy in POLICIES:
        if _encode.encode(batch, 1, policy) != copy_binary.encode(batch, 1, policy):
            raise AssertionError(f"the twins differ on {data!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, compare_twins)
    atheris.Fuzz()
