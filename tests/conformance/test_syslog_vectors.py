"""Every syslog vector has the fields its source expects, but for the exceptions that DEVIATIONS.md lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from storable import assert_storable
from vectors import ARRIVAL_US, WIDE, Vector, deviations, load, mismatches

from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

VECTORS = load("message")
COUNTED = [vector for vector in VECTORS if vector.counted]
LISTED = deviations()
# Each hits another branch somewhere: ends, escapes, quotes, digits, letters, control and non-ASCII bytes.
MUTANTS = (0x00, 0x0A, 0x20, 0x22, 0x3C, 0x3A, 0x5B, 0x5C, 0x5D, 0x30, 0x7F, 0xFF)


def _id(vector: Vector) -> str:
    return vector.id


@pytest.mark.parametrize("vector", COUNTED, ids=_id)
def test_a_vector_has_its_expected_fields_unless_it_is_listed_as_a_deviation(vector: Vector) -> None:
    problems = mismatches(vector)
    if vector.id in LISTED:
        assert problems, f"{vector.id} is listed in DEVIATIONS.md but holds now"
    else:
        assert not problems


def test_at_least_98_percent_of_the_vectors_hold_apart_from_the_known_disagreements_of_the_suites() -> None:
    failed = [vector.id for vector in COUNTED if mismatches(vector)]
    ours = [vector_id for vector_id in failed if LISTED.get(vector_id) == "ours"]
    assert len(ours) <= 0.02 * len(COUNTED)
    assert len(failed) <= 0.04 * len(COUNTED)


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "raw" in vector.entry], ids=_id)
def test_every_word_of_a_vector_is_somewhere_in_its_record(vector: Vector) -> None:
    # No event is near enough to its arrival here, so that the text of its stamp is kept too.
    record = parse_frame(vector.raw, ARRIVAL_US, Policy(max_past_us=0, max_future_us=0))
    assert_storable(record)
    columns = (record.message, record.host, record.service, record.proc_id, record.msg_id)
    kept = set(_words(" ".join(filter(None, columns)) + " " + _all_text(record.attrs)))
    # Neither the priority nor version 1 nor AIX's phrase before the host is a word of the sender's.
    text = re.sub(r"^\s*(<\d+>)?(1\b)?|Message forwarded from", "", vector.raw.decode())
    assert set(_words(text)) <= kept


def _words(text: str) -> Iterator[str]:
    return (word.lstrip("0") for word in re.findall(r"[A-Za-z0-9]+", text))


def _all_text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_all_text(item)}" for name, item in value.items())
    return " ".join(map(_all_text, value)) if isinstance(value, list) else str(value)


def test_every_prefix_of_every_vector_becomes_one_record() -> None:
    for vector in VECTORS:
        for end in range(len(vector.raw)):
            assert_storable(parse_frame(vector.raw[:end], ARRIVAL_US, WIDE))


def test_every_vector_with_one_byte_changed_becomes_one_record() -> None:
    for vector in VECTORS:
        frame = bytearray(vector.raw)
        for position, original in enumerate(vector.raw):
            for mutant in (*MUTANTS, original ^ 0x01):
                frame[position] = mutant
                assert_storable(parse_frame(bytes(frame), ARRIVAL_US, WIDE))
            frame[position] = original
