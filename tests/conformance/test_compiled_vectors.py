"""Every vector and device sample, whole, cut and changed, gives the same row from both twins of encode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twins import POLICIES, batch_of, encode_with_both
from vectors import Vector, load, load_devices

from logstreamd.wire.batch import MAX_ROWS
from logstreamd.wire.policy import Policy

VECTORS = load("message")
SAMPLES = load_devices()
ALL = [*VECTORS, *SAMPLES]
# Each hits another branch somewhere: ends, escapes, quotes, digits, letters, control and non-ASCII bytes.
MUTANTS = (0x00, 0x0A, 0x20, 0x22, 0x3C, 0x3A, 0x5B, 0x5C, 0x5D, 0x30, 0x7F, 0xFF)


def _in_batches(frames: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == MAX_ROWS:
            yield batch
            batch = []
    yield batch


def _mutations(vectors: list[Vector]) -> Iterator[bytes]:
    for vector in vectors:
        frame = bytearray(vector.raw)
        for position, original in enumerate(vector.raw):
            for mutant in (*MUTANTS, original ^ 0x01):
                frame[position] = mutant
                yield bytes(frame)
            frame[position] = original
            yield vector.raw[:position] + vector.raw[position + 1 :]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_every_vector_and_sample_gives_the_same_row(policy: Policy) -> None:
    encode_with_both(batch_of(vector.raw for vector in ALL), policy)


def test_every_prefix_of_a_vector_gives_the_same_row() -> None:
    for frames in _in_batches(vector.raw[:end] for vector in ALL for end in range(len(vector.raw))):
        encode_with_both(batch_of(frames))


def test_every_vector_with_one_byte_changed_or_missing_gives_the_same_row() -> None:
    for frames in _in_batches(_mutations(VECTORS)):
        encode_with_both(batch_of(frames))


@pytest.mark.slow
def test_every_sample_with_one_byte_changed_or_missing_gives_the_same_row() -> None:
    for frames in _in_batches(_mutations(SAMPLES)):
        encode_with_both(batch_of(frames))
