from __future__ import annotations

from typing import Any

import pytest

from logstreamd.record import Record
from logstreamd.wire.block import DAY_US, MAX_NAMES, MINUTE_US, Block, Count, Survey, without_rows
from logstreamd.wire.bloom import may_contain, token_hash
from logstreamd.wire.tokens import tokens

DAY = 20_779  # 2026-11-22
NOON_US = DAY * DAY_US + 12 * 60 * MINUTE_US


def record(ts: int = NOON_US, severity: int = 6, **columns: Any) -> Record:
    return Record(
        ts=ts, received_at=0, severity=severity, facility=1, message=columns.pop("message", ""), format="raw", **columns
    )


def survey_of(*records: Record, first_id: int = 100) -> Survey:
    survey = Survey()
    for row_id, one in enumerate(records, first_id):
        survey.add(row_id, one)
    return survey


def test_rows_of_several_days_make_a_block_each_in_the_order_of_the_days() -> None:
    blocks = survey_of(
        record(NOON_US + 5), record(NOON_US - DAY_US), record(NOON_US + 1, severity=3), record(-1)
    ).blocks()
    assert [block.day for block in blocks] == [-1, DAY - 1, DAY]
    today = blocks[-1]
    assert (today.first_id, today.last_id, today.ts_min, today.ts_max) == (100, 102, NOON_US + 1, NOON_US + 5)
    assert today.severity_counts == (0, 0, 0, 1, 0, 0, 1, 0)
    assert today.row_count == 2


def test_ids_need_no_order() -> None:
    survey = Survey()
    for row_id in (7, 3, 9, 5):
        survey.add(row_id, record())
    (block,) = survey.blocks()
    assert (block.first_id, block.last_id) == (3, 9)


def test_the_words_of_every_searchable_column_are_in_the_filter() -> None:
    attrs = {"name": "Attribute", "n": [1.5, True, None], "o": {"p": "inner_word"}}
    texts = {"message": "Payment FAILED", "service": "checkout-api", "host": "web-01", "trace_id": "4bf92f"}
    (block,) = survey_of(record(attrs=attrs, **texts)).blocks()
    for word in tokens("payment failed checkout api web 01 4bf92f attribute 1 5 true inner_word"):
        assert may_contain(block.bloom, token_hash(word)), word
    for word in ("name", "null", "o", "p", "raw"):
        assert not may_contain(block.bloom, token_hash(word)), word


def test_names_are_listed_once_and_in_order() -> None:
    (block,) = survey_of(record(service="b", host="h"), record(service="a", host="h"), record(service="b")).blocks()
    assert (block.services, block.hosts) == (("a", "b"), ("h",))


@pytest.mark.parametrize("names", [MAX_NAMES, MAX_NAMES + 1, MAX_NAMES * 2])
def test_names_are_listed_as_long_as_they_are_few(names: int) -> None:
    survey = survey_of(*(record(service=f"s{number:03}", host="h") for number in range(names)))
    (block,) = survey.blocks()
    assert (block.services is None) == (names > MAX_NAMES)
    assert block.hosts == ("h",)
    assert len(survey.counts()) == names


def test_counts_are_by_minute_service_and_severity() -> None:
    counts = survey_of(
        record(NOON_US, service="b"),
        record(NOON_US + MINUTE_US - 1, service="b"),
        record(NOON_US + MINUTE_US, service="b"),
        record(NOON_US, service="a", severity=3),
        record(NOON_US),
        record(NOON_US, severity=0, service=""),
    ).counts()
    minute = NOON_US // MINUTE_US
    assert counts == (
        Count(minute, None, 6, 1),
        Count(minute, "", 0, 1),
        Count(minute, "a", 3, 1),
        Count(minute, "b", 6, 2),
        Count(minute + 1, "b", 6, 1),
    )


def without(survey: Survey, *gone: tuple[int, str | None, int]) -> tuple[tuple[Block, ...], tuple[Count, ...]]:
    return without_rows(survey.blocks(), survey.counts(), gone)


def test_rows_that_were_not_stored_are_taken_off() -> None:
    survey = survey_of(record(service="a"), record(service="a"), record(service="b"), record(NOON_US - DAY_US))
    (yesterday, today), counts = without(survey, (NOON_US, "a", 6), (NOON_US, "b", 6))
    assert (yesterday.row_count, today.row_count) == (1, 1)
    assert [count.rows for count in counts] == [1, 1]
    assert {count.service for count in counts} == {None, "a"}


def test_a_day_without_rows_has_no_block() -> None:
    survey = survey_of(record(NOON_US - DAY_US), record())
    blocks, counts = without(survey, (NOON_US - DAY_US, None, 6))
    assert [block.day for block in blocks] == [DAY]
    assert [count.minute for count in counts] == [NOON_US // MINUTE_US]
    assert without(survey, (NOON_US - DAY_US, None, 6), (NOON_US, None, 6)) == ((), ())


def test_nothing_taken_off_changes_nothing() -> None:
    survey = survey_of(record(service="a"), record(NOON_US - DAY_US))
    assert without(survey) == (survey.blocks(), survey.counts())
