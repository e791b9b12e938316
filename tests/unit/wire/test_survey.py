"""What rows are about, found by either twin: where texts, names and days are on the edge of something."""

from __future__ import annotations

import importlib
import json
import struct
from array import array
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from twins import FIRST_ID, WIDE, batch_of, compiled_survey, rows_of, survey_with_all

from logstreamd.record import Record
from logstreamd.wire import copy_binary, copy_rows
from logstreamd.wire.block import DAY_US, MAX_NAMES, MINUTE_US, Block, Count
from logstreamd.wire.bloom import bloom_bytes, may_contain, token_hash
from logstreamd.wire.policy import Policy
from logstreamd.wire.tokens import SEPARATORS, is_token_char, tokens

SurveyRows: TypeAlias = "Callable[[bytes, array[int]], tuple[tuple[Block, ...], tuple[Count, ...]]]"
RowsOfCopy: TypeAlias = "Callable[[bytes], tuple[bytes, array[int]]]"
NOON_US = 20_779 * DAY_US + DAY_US // 2


@pytest.fixture(params=["python", "compiled"])
def survey_rows(request: pytest.FixtureRequest) -> SurveyRows:
    return copy_rows.survey_rows if request.param == "python" else compiled_survey()


@pytest.fixture
def compiled() -> None:
    compiled_survey()


def record(message: str = "", **columns: Any) -> Record:
    return Record(
        **{"ts": NOON_US, "received_at": NOON_US, "severity": 6, "facility": 1, "message": message, "format": "raw"}
        | columns
    )


def block_of(survey_rows: SurveyRows, *records: Record) -> Block:
    (block,), _ = survey_rows(*rows_of(records))
    return block


def words_in(block: Block, text: str) -> list[bool]:
    return [may_contain(block.bloom, token_hash(token)) for token in tokens(text)]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "_",
        "a" * 63,
        "a" * 64,
        "a" * 65,
        "a" * 127 + " b",
        "a" * 64 + " " + "B" * 64 + "-c",
        " " * 63 + "edge",
        " " * 64 + "edge",
        "x" * 60 + " edge cut by the end of a block",
        "é" * 64,
        "é" * 65,
        "a" * 63 + "é" + "b",
        "a" * 70 + "\u2014after a long word",
        "ΟΔΥΣΣΕΥΣ İstanbul \u212aelvin ǅ e\u0301",
        "payment failed \u2014 Größe \u2026 東京、大阪。",
        "\U0001f600 smile \U00020000\U000e0041\U00010400 \U000f0000x",
        "\x01\x7fa\x1fb",
    ],
)
def test_a_text_has_the_same_tokens_for_all(text: str) -> None:
    (block,), _ = survey_with_all([record(text, service="s")])
    assert all(words_in(block, text))
    assert len(block.bloom) == bloom_bytes(len({*tokens(text), "s"}), 1)


@pytest.mark.usefixtures("compiled")
def test_every_character_is_read_the_same() -> None:
    edges = {code + step for pair in SEPARATORS for code in pair for step in (-1, 0, 1)}
    codes = [*range(1, 0xD800), *range(0xE000, 0x20000), *sorted(code for code in edges if 0x20000 <= code < 0x110000)]
    words = [f"{chr(code)}{code:x}{chr(code)}" for code in codes]
    survey_with_all([record(" ".join(words[start : start + 500])) for start in range(0, len(words), 500)])


def test_no_character_beyond_the_table_has_another_case() -> None:
    codes = range(0x20000, 0x110000, 0x101)
    assert all(chr(code).lower() == chr(code) for code in codes)
    assert is_token_char("\U00020000")


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    "attrs",
    [
        {"a": "plain", "b": {"c": ["x", {"d": "y"}]}, "e": [[], {}, ""]},
        {"quoted": 'say "Hi"', 'back\\slash"': "a\\b\tc\n\x01d", "über": "Ünï \u2014 \U0001f600", "a:b": ":"},
        {"n": [0, 1, -1, 12, 1.5, -0.0, 10**17, 10**30, -(10**18)]},
        {"n": [1e16, 1.5e300, 1e-300, -2.5e-7, 1.7976931348623157e308, 5e-324, 123456789012345680.0]},
        {"t": True, "f": False, "n": None, "true": "null", "z": "true"},
    ],
)
def test_attributes_have_the_same_tokens_for_all(attrs: dict[str, Any]) -> None:
    survey_with_all([record(attrs=attrs)])


def as_postgresql_shows(survey_rows: SurveyRows, text: str) -> Block:
    rows, _ = rows_of([record("m", attrs={"x": 1})])
    stored = b"\x01" + text.encode()
    row = rows.replace(struct.pack("!i", 8) + b'\x01{"x":1}', struct.pack("!i", len(stored)) + stored)
    (block,), _ = survey_rows(row, array("I", [len(row)]))
    return block


def test_attributes_may_be_written_as_postgresql_does(survey_rows: SurveyRows) -> None:
    text = '{"a": 1.50, "b": [-2, 0.00000025], "c": {"d": "x\\ny"}, "e": null, "f": 10000000000000000000000}'
    block = as_postgresql_shows(survey_rows, text)
    assert all(words_in(block, "m 1 50 2 0 00000025 x y 10000000000000000000000"))
    assert len(block.bloom) == bloom_bytes(9, 1)


@pytest.mark.parametrize("text", ["1.50e1", "-15.0", "1500e-2", "0.00150E+4", "1e324", "12e-324", "1e325", "1e-325"])
def test_an_exponent_is_written_out(survey_rows: SurveyRows, text: str) -> None:
    block = as_postgresql_shows(survey_rows, f"[{text}]")
    assert all(words_in(block, format(abs(Decimal(text)), "f")))


def test_names_are_listed_for_each_day_as_long_as_they_are_few(survey_rows: SurveyRows) -> None:
    many = [record(host=f"h{number:03}", service="s") for number in range(MAX_NAMES + 1)]
    fewer = [replace(one, ts=one.ts + DAY_US) for one in many[1:]]
    (today, tomorrow), _ = survey_rows(*rows_of([*many, *fewer]))
    assert (today.hosts, today.services) == (None, ("s",))
    assert tomorrow.hosts == tuple(f"h{number:03}" for number in range(1, MAX_NAMES + 1))


@pytest.mark.usefixtures("compiled")
def test_many_names_words_minutes_and_days_give_the_same_for_all() -> None:
    survey_with_all(
        [
            record(
                f"word{number} {number % 97}",
                ts=NOON_US + number % 50 * DAY_US - number * MINUTE_US,
                severity=number % 8,
                service=f"service-{number % 1_999}" if number % 3 else None,
                host=f"a-rather-long-host-name-{number}.example.net",
                trace_id=f"{number:032x}",
            )
            for number in range(5_000)
        ]
    )


@pytest.mark.parametrize("ts", [-1, 0, -DAY_US, -DAY_US - 1, MINUTE_US - 1, -(62_135_596_800 * 1_000_000)])
def test_times_before_1970_lie_in_the_right_minute_and_day(survey_rows: SurveyRows, ts: int) -> None:
    (block,), (count,) = survey_rows(*rows_of([record(ts=ts)]))
    assert (block.day, block.ts_min, block.ts_max, count.minute) == (ts // DAY_US, ts, ts, ts // MINUTE_US)


def test_ids_are_those_of_the_rows(survey_rows: SurveyRows) -> None:
    rows = [rows_of([record()], first_id=row_id)[0] for row_id in (9, 4, 70_000)]
    (block,), _ = survey_rows(b"".join(rows), array("I", [len(b"".join(rows[: end + 1])) for end in range(3)]))
    assert (block.first_id, block.last_id) == (4, 70_000)


def test_no_rows_are_about_nothing(survey_rows: SurveyRows) -> None:
    assert survey_rows(b"", array("I")) == ((), ())


@pytest.mark.usefixtures("compiled")
def test_what_encode_writes_is_never_left_to_the_plain_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["plain", "Größe \u2014 東京", '"\\\t\x01\x7f', "\u2028", "\0 \ud800"]
    numbers = [0, -1, 1.5, 1e16, -2.5e-300, 5e-324, 10**400]
    documents = [json.dumps({"message": text, "a": {text: [text, *numbers]}}).encode() for text in texts]
    lines = [f'<34>1 2026-11-21T23:00:00Z {text} a 1 - [a b="{text}"] {text}' for text in texts[:4]]
    frames = [*documents, *(line.encode() for line in lines), b"\xff\0", b"", b"[" * 70]
    rows = copy_binary.encode(batch_of(frames), FIRST_ID, WIDE)

    def refuse(rows: bytes, row_ends: array[int]) -> None:
        raise AssertionError("the compiled twin gave these rows up")

    monkeypatch.setattr(copy_rows, "survey_rows", refuse)
    assert compiled_survey()(rows.rows, rows.row_ends) == (rows.blocks, rows.counts)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_more_rows_than_the_compiled_twin_numbers_are_surveyed_all_the_same() -> None:
    row, (size,) = rows_of([record("x")])
    count = 1 << 19
    (block,), _ = compiled_survey()(row * count, array("I", range(size, size * count + 1, size)))
    assert block.row_count == count


ROW, (ROW_END,) = rows_of([record("message", host="h", attrs={"a": "b\n"})])


@pytest.mark.parametrize(
    "broken",
    [
        ROW[:-30],
        ROW[:40],
        ROW[1:],
        ROW.replace(b"message", b"messag\xff"),
        ROW.replace(b"\x01{", b"\x02{"),
        ROW.replace(b"\\n", b"\\x"),
        ROW.replace(struct.pack("!ih", 2, 6), struct.pack("!ih", 2, 8)),
        ROW.replace(struct.pack("!ih", 2, 6), struct.pack("!ih", 2, -1)),
        ROW.replace(struct.pack("!iq", 8, FIRST_ID), struct.pack("!i", -1)),
    ],
)
def test_what_is_no_row_of_logs_is_refused(survey_rows: SurveyRows, broken: bytes) -> None:
    assert broken != ROW
    with pytest.raises(ValueError):
        survey_rows(broken, array("I", [len(broken)]))


@pytest.mark.parametrize("ends", [[ROW_END + 1], [ROW_END, 1], [0]])
def test_rows_that_do_not_lie_where_they_should_are_refused(survey_rows: SurveyRows, ends: list[int]) -> None:
    with pytest.raises(ValueError):
        survey_rows(ROW, array("I", ends))


@pytest.fixture(params=["python", "compiled"])
def rows_of_copy(request: pytest.FixtureRequest) -> RowsOfCopy:
    if request.param == "python":
        return copy_rows.rows_of_copy
    compiled_survey()
    return importlib.import_module("logstreamd.wire._survey").rows_of_copy


def test_a_copy_stream_is_cut_into_its_rows(rows_of_copy: RowsOfCopy) -> None:
    encoded = copy_binary.encode(batch_of([b"one", b"", b'{"message":"m","a":1}']), FIRST_ID, Policy())
    assert rows_of_copy(b"".join(encoded.copy_stream(0, 3))) == (encoded.rows, encoded.row_ends)
    assert rows_of_copy(b"".join(encoded.copy_stream(0, 0))) == (b"", array("I"))


@pytest.mark.parametrize("cut", [1, 2, 10, 45])
def test_a_copy_stream_without_a_part_of_it_is_refused(rows_of_copy: RowsOfCopy, cut: int) -> None:
    stream = b"".join(copy_binary.encode(batch_of([b"one", b"two"]), FIRST_ID, Policy()).copy_stream(0, 2))
    for broken in (
        stream[:-cut],
        stream[cut:],
        stream[:-2] + b"\0" * cut + stream[-2:],
        stream[: -2 - cut] + stream[-2:],
    ):
        with pytest.raises(ValueError):
            rows_of_copy(broken)
