"""Whatever rows hold, a survey of the records and both twins' surveys of the rows find the same."""

from __future__ import annotations

from array import array
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from twins import ARRIVAL_US, compiled_survey, rows_of, survey_with_all

from logstreamd.record import Record
from logstreamd.wire import copy_rows
from logstreamd.wire.tokens import SEPARATORS

pytestmark = pytest.mark.usefixtures("compiled")
MANY = settings(max_examples=300, deadline=None)
DAY_US = timedelta(days=1) // timedelta(microseconds=1)


@pytest.fixture(scope="module")
def compiled() -> None:
    compiled_survey()


EDGES = sorted({chr(code + step) for pair in SEPARATORS[5:] for code in pair for step in (-1, 0, 1) if code < 0x10FFFF})
CHARACTERS = (
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from([char for char in EDGES if not "\ud800" <= char <= "\udfff"])
    | st.sampled_from("İıΣσςǅẞ\u212a\u0301\u0307aZ_0 -\u2014é")
)
WORDS = st.builds(str.__mul__, st.sampled_from("aZ9_éΣİ東"), st.integers(0, 3) | st.integers(62, 66))
TEXTS = (
    st.text(CHARACTERS, max_size=20)
    | st.text("aB_9 -:", max_size=200)
    | st.lists(WORDS, max_size=5).map(" ".join)
    | st.lists(st.text("abc", min_size=1, max_size=12), max_size=30).map("/".join)
)
NAMES = st.none() | st.sampled_from(["", "a", "web-01", "é"]) | st.integers(0, 400).map("name-{}".format) | TEXTS
NUMBERS = st.integers() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
ATTRS = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS,
        lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)
TIMES = st.integers(-2, 300).map(lambda days: ARRIVAL_US + days * DAY_US) | st.integers(
    -62_135_596_800_000_000, 253_402_300_799_999_999
)
RECORDS: SearchStrategy[Record] = st.builds(
    Record,
    ts=TIMES | st.just(ARRIVAL_US),
    received_at=st.just(ARRIVAL_US),
    severity=st.integers(0, 7),
    facility=st.just(1),
    message=TEXTS,
    format=st.just("raw"),
    host=NAMES,
    service=NAMES,
    trace_id=st.none() | TEXTS,
    attrs=st.just({}) | ATTRS,
)


@MANY
@given(st.lists(RECORDS, min_size=1, max_size=10))
def test_any_records_are_about_the_same(records: list[Record]) -> None:
    survey_with_all(records)


@MANY
@given(ATTRS)
def test_any_attributes_have_the_same_words(attrs: dict[str, Any]) -> None:
    survey_with_all([Record(0, 0, 6, 1, "", "json", attrs=attrs)])


@given(st.integers(1, 600), st.integers(1, 600), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_any_numbers_of_names_and_days_are_about_the_same(hosts: int, services: int, days: int) -> None:
    survey_with_all(
        [
            Record(
                number % days * DAY_US,
                0,
                number % 8,
                1,
                f"word{number}",
                "raw",
                host=f"host-{number % hosts}",
                service=f"service-{number % services}",
            )
            for number in range(700)
        ]
    )


@MANY
@given(RECORDS, st.integers(0, 1 << 30), st.binary(max_size=4), st.integers(0, 4))
def test_broken_rows_are_refused_or_read(record: Record, position: int, put: bytes, width: int) -> None:
    rows, _ = rows_of([record])
    position %= len(rows)
    broken = rows[:position] + put + rows[position + width :]
    for survey_rows in (copy_rows.survey_rows, compiled_survey()):
        try:
            survey_rows(broken, array("I", [len(broken)]))
        except ValueError:
            continue
