"""Both twins of encode and survey side by side: given frames or records, and the demand that the results are equal."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from logstreamd.record import Record
from logstreamd.wire import copy_binary, copy_rows
from logstreamd.wire.batch import MAX_ROWS, Batch
from logstreamd.wire.block import Block, Count, Survey
from logstreamd.wire.copy_binary import Encoded
from logstreamd.wire.policy import Policy
from logstreamd.wire.sender import sender_entry

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
FIRST_ID = 7 << 16
WIDE = Policy(max_past_us=1 << 60, max_future_us=1 << 60)
# Every way a time is settled: taken, given up for the arrival, in another zone, in one with summer time.
POLICIES = (
    Policy(),
    WIDE,
    Policy(max_past_us=0, max_future_us=0, host="edge-1"),
    Policy(zone=timezone(timedelta(hours=5, minutes=30)), max_past_us=1 << 60, max_future_us=1 << 60),
    Policy(zone=ZoneInfo("Europe/Berlin"), max_past_us=1 << 60, max_future_us=1 << 60),
)
PEERS = (
    "192.0.2.1",
    "2001:db8::1",
    "",
    sender_entry("192.0.2.9", {"tls_subject": 'CN=web-1,O="Ünder" \\ Töchter'}),
    sender_entry("", {"peer_pid": 812, "peer_uid": 0}),
)


def compiled_twin() -> Callable[[Batch, int, Policy], tuple[Encoded, int]]:
    """Return the compiled encode, which also counts the frames it left to the plain one; skip where it is not built."""
    module = pytest.importorskip(
        "logstreamd.wire._encode",
        reason="the compiled twins are not built (python setup.py build_ext --inplace)",
        exc_type=ImportError,
    )
    found: Callable[[Batch, int, Policy], tuple[Encoded, int]] = module.encode_noting_left
    return found


def batch_of(frames: Iterable[bytes], received_at: int = ARRIVAL_US) -> Batch:
    """Gather frames of all kinds of senders in turn."""
    batch = Batch("edge", max_rows=MAX_ROWS, max_bytes=1 << 30)
    ids = [batch.peer_id(peer) for peer in PEERS]
    for number, frame in enumerate(frames):
        batch.append(frame, received_at, ids[number % len(ids)])
    return batch


def encode_with_both(batch: Batch, policy: Policy = WIDE, first_id: int = FIRST_ID) -> int:
    """Encode a batch twice and compare; return how many frames the compiled twin left to the plain one."""
    encoded, left = compiled_twin()(batch, first_id, policy)
    expected = copy_binary.encode(batch, first_id, policy)
    if encoded != expected:
        assert _first_difference(encoded, expected, batch) is None
    assert encoded == expected
    return left


def rows_of(records: Iterable[Record], first_id: int = FIRST_ID) -> tuple[bytes, array[int]]:
    """Encode records with the plain twin; return the rows and where they end."""
    rows, row_ends = bytearray(), array("I")
    for row_id, record in enumerate(records, first_id):
        rows += copy_binary._row(row_id, record, copy_binary._text("edge"), copy_binary._inet("192.0.2.1"))
        row_ends.append(len(rows))
    return bytes(rows), row_ends


def compiled_survey() -> Callable[[bytes, array[int]], tuple[tuple[Block, ...], tuple[Count, ...]]]:
    """Return the compiled survey of rows; skip where it is not built."""
    module = pytest.importorskip(
        "logstreamd.wire._survey",
        reason="the compiled twins are not built (python setup.py build_ext --inplace)",
        exc_type=ImportError,
    )
    found: Callable[[bytes, array[int]], tuple[tuple[Block, ...], tuple[Count, ...]]] = module.survey_rows
    return found


def survey_with_all(records: list[Record]) -> tuple[tuple[Block, ...], tuple[Count, ...]]:
    """Survey records as they are, and their rows with both twins, and compare."""
    survey = Survey()
    for row_id, record in enumerate(records, FIRST_ID):
        survey.add(row_id, record)
    expected = survey.blocks(), survey.counts()
    rows, row_ends = rows_of(records)
    assert copy_rows.survey_rows(rows, row_ends) == expected
    assert compiled_survey()(rows, row_ends) == expected
    return expected


def _first_difference(encoded: Encoded, expected: Encoded, batch: Batch) -> tuple[bytes, bytes, bytes] | None:
    """Return a frame whose rows differ, and both rows: what a person wants to see of two megabytes."""
    start = other_start = 0
    for index, (end, other_end) in enumerate(zip(encoded.row_ends, expected.row_ends, strict=True)):
        row, other = encoded.rows[start:end], expected.rows[other_start:other_end]
        if row != other:
            return batch.frame(index), row, other
        start, other_start = end, other_end
    return None
