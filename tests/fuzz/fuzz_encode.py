"""A fuzzer for the twins of encode: libFuzzer looks for a frame whose rows differ, or that is read beyond its end.

It is guided by what both twins run through. An input is a frame, or several with two NULs between them; the data of the
batch is exactly as long as they are, so that AddressSanitizer sees one byte too many. The rows that come out are
surveyed by both twins too, and by the compiled one once more with a byte changed.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

# The branches of the filters say nothing about frames, and are many.
with atheris.instrument_imports(include=["logstreamd.wire", "logstreamd.record"], exclude=["logstreamd.wire.bloom"]):
    from logstreamd.wire import copy_binary, copy_rows
    from logstreamd.wire.batch import Batch
    from logstreamd.wire.copy_binary import Encoded
    from logstreamd.wire.policy import Policy

from logstreamd.wire import _encode, _survey

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
POLICIES = (Policy(), Policy(max_past_us=1 << 60, max_future_us=1 << 60))
MAX_FRAMES = 100
SENDERS = ("192.0.2.1", '192.0.2.1 "tls_subject":"CN=fuzz"')


def compare_twins(data: bytes) -> None:
    """Encode the frames with both twins; a difference is a finding."""
    batch = Batch("fuzz")
    for number, frame in enumerate(data.split(b"\0\0")[:MAX_FRAMES]):
        batch.append(frame, ARRIVAL_US, batch.peer_id(SENDERS[number % len(SENDERS)]))
    batch.data = bytearray(bytes(batch.data))
    for policy in POLICIES:
        encoded = _encode.encode(batch, 1, policy)
        if encoded != copy_binary.encode(batch, 1, policy):
            raise AssertionError(f"the twins differ on {data!r}")
    if copy_rows.survey_rows(encoded.rows, encoded.row_ends) != (encoded.blocks, encoded.counts):
        raise AssertionError(f"the rows are about something else than the records of {data!r}")
    survey_broken(encoded, data)


def survey_broken(encoded: Encoded, data: bytes) -> None:
    """Survey the rows with one byte changed, somewhere and to something that follows from the input."""
    rows = bytearray(encoded.rows)
    rows[sum(data) * 31 % len(rows)] = data[0] if data else 0xFF
    with contextlib.suppress(ValueError):
        _survey.survey_rows(bytes(rows), encoded.row_ends)


if __name__ == "__main__":
    atheris.Setup(sys.argv, compare_twins)
    atheris.Fuzz()
