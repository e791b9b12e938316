"""JSON objects become records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from storable import assert_storable

from logstreamd.record import Record
from logstreamd.wire.json_document import MAX_DEPTH, MAX_KEYS
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z


def parse(frame: bytes) -> Record:
    record = parse_frame(frame, ARRIVAL_US, Policy())
    assert_storable(record)
    return record


def flags(record: Record) -> list[str]:
    found: list[str] = record.attrs.get("logstreamd", {}).get("flags", [])
    return found


def test_known_fields_become_columns_and_the_others_attributes() -> None:
    record = parse(
        b'{"timestamp":"2026-11-21T23:00:00.25Z","level":"warn","service":"s","host":"h","trace_id":"t","message":"m",'
        b'"tags":["a"],"user":{"id":1}}'
    )
    assert (record.ts, record.severity, record.facility) == (ARRIVAL_US - 3_599_750_000, 4, 1)
    assert (record.service, record.host, record.trace_id, record.message, record.format) == ("s", "h", "t", "m", "json")
    assert record.attrs == {"tags": ["a"], "user": {"id": 1}}


def test_the_name_given_first_in_the_table_wins_and_the_others_stay() -> None:
    record = parse(b'{"msg":"b","message":"a","log":"c","lvl":"debug","level":"error","app":"y","service":"x"}')
    assert (record.message, record.severity, record.service) == ("a", 3, "x")
    assert record.attrs == {"msg": "b", "log": "c", "lvl": "debug", "app": "y"}


def test_a_value_that_is_not_usable_stays_an_attribute_and_the_next_name_is_tried() -> None:
    record = parse(
        b'{"host":{"name":"x"},"hostname":"h","level":true,"severity":"?","timestamp":"soon","message":null}'
    )
    assert (record.host, record.severity, record.ts) == ("h", 5, ARRIVAL_US)
    assert record.attrs == {"host": {"name": "x"}, "level": True, "severity": "?", "timestamp": "soon", "message": None}


def test_without_a_message_the_json_text_is_the_message() -> None:
    assert parse(b'{"a":1}').message == '{"a":1}'


@pytest.mark.parametrize(("value", "message"), [("12", "12"), ("true", "true"), ("false", "false"), ('""', "")])
def test_a_scalar_message_is_its_text(value: str, message: str) -> None:
    assert parse(f'{{"message":{value}}}'.encode()).message == message


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("0", 0),
        ("7", 7),
        ("10", 7),
        ("20", 7),
        ("30", 6),
        ("40", 4),
        ("50", 3),
        ("60", 2),
        ('"3"', 3),
        ('"FATAL"', 2),
        ('"Err"', 3),
    ],
)
def test_levels_are_names_or_numbers_of_syslog_or_pino(level: str, severity: int) -> None:
    record = parse(f'{{"level":{level}}}'.encode())
    assert (record.severity, record.attrs) == (severity, {})


@pytest.mark.parametrize("level", ["8", "-1", "35", "100", '"100"', '"\u0663"', "3.0", "null"])
def test_a_level_out_of_range_is_none(level: str) -> None:
    record = parse(f'{{"level":{level}}}'.encode())
    assert (record.severity, record.attrs) == (5, {"level": json.loads(level)})


@pytest.mark.parametrize(
    "value",
    [
        "1795302000", "1795302000.0", "1795302000000", "1795302000000000", "1795302000000000000",
        '"1795302000"', '"1795302000.000"',
        '"2026-11-21T23:00:00Z"', '"2026-11-21t23:00:00z"', '"2026-11-22 00:00:00,000+01:00"', '"2026-11-21T23:00:00"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["timestamp", "@timestamp", "ts", "time"])
def test_timestamps_are_texts_or_numbers_of_any_unit(name: str, value: str) -> None:
    record = parse(f'{{"{name}":{value}}}'.encode())
    assert (record.ts, record.attrs) == (ARRIVAL_US - 3_600_000_000, {})


@pytest.mark.parametrize("value", ["-1", "1e21", '"2026-11-21"', '"\u0661795302000"', "true", "[]"])
def test_what_is_no_time_stays_an_attribute(value: str) -> None:
    record = parse(f'{{"ts":{value}}}'.encode())
    assert (record.ts, record.attrs) == (ARRIVAL_US, {"ts": json.loads(value)})


def test_a_time_outside_the_window_is_noted() -> None:
    assert parse(b'{"ts":12}').attrs == {"logstreamd": {"event_time": "12"}}


def test_integers_keep_all_their_digits() -> None:
    number = 10**400 + 7
    assert parse(b'{"n":%d,"m":-18446744073709551617}' % number).attrs == {"n": number, "m": -18446744073709551617}


@pytest.mark.parametrize(
    "number", ["1e400", "-1e999999", "1e-400", "0.12345678901234567890", "NaN", "-Infinity", "1" * 5000]
)
def test_a_number_that_cannot_be_kept_becomes_its_text(number: str) -> None:
    record = parse(f'{{"n":{number}}}'.encode())
    assert (record.attrs["n"], flags(record)) == (number, ["number"])


@pytest.mark.parametrize("number", ["0.1", "12.50", "-0.0", "0.30000000000000004", "1.7976931348623157e308", "1e300"])
def test_a_number_a_double_holds_stays_a_number(number: str) -> None:
    assert parse(f'{{"n":{number}}}'.encode()).attrs == {"n": float(number)}


@pytest.mark.parametrize(
    ("frame", "attrs", "flag"),
    [
        (b'{"a\\u0000":"x\\u0000"}', {"a\\x00": "x\\x00"}, "nul"),
        (b'{"a\\u0000":1,"a\\\\x00":2}', {"a\\x00": 1, "a\\x00_": 2}, "nul"),
        (b'{"a":"\\ud800x"}', {"a": "\\ud800x"}, "surrogate"),
        (b'{"a":"\xff\xc3\xa9"}', {"a": "\\xff\u00e9"}, "invalid_utf8"),
    ],
)
def test_texts_are_made_storable_and_flagged(frame: bytes, attrs: dict[str, Any], flag: str) -> None:
    record = parse(frame)
    noted = record.attrs.pop("logstreamd")
    assert record.attrs == attrs
    assert flag in noted["flags"]


def test_control_characters_in_strings_are_accepted() -> None:
    assert parse(b'{"a":"x\ty\x1b"}').attrs == {"a": "x\ty\x1b"}


def test_a_key_that_comes_twice_has_its_last_value() -> None:
    assert parse(b'{"a":1,"a":2}').attrs == {"a": 2}


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"k":', "}")])
def test_levels_beyond_the_limit_become_text(opening: str, closing: str) -> None:
    levels = MAX_DEPTH - 1
    fits = opening * levels + "1" + closing * levels
    assert parse(f'{{"a":{fits}}}'.encode()).attrs == {"a": json.loads(fits)}
    deep = opening * 500 + "1" + closing * 500
    record = parse(f'{{"a":{deep}}}'.encode())
    assert flags(record) == ["json_limits"]
    inner = record.attrs["a"]
    while not isinstance(inner, str):
        inner = inner[0] if isinstance(inner, list) else inner["k"]
    assert json.loads(inner) == json.loads(opening * (500 - levels) + "1" + closing * (500 - levels))


def test_nesting_no_decoder_follows_is_kept_as_text() -> None:
    frame = b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    record = parse(frame)
    assert (record.format, record.message, flags(record)) == ("raw", frame.decode(), ["invalid_json"])


def test_keys_beyond_the_limit_become_one_text() -> None:
    most = {f"k{number}": number for number in range(MAX_KEYS)}
    assert parse(json.dumps(most).encode()).attrs == most
    more = most | {"last": {"x": "\0"}}
    record = parse(json.dumps(more).encode())
    noted = record.attrs.pop("logstreamd")
    assert record.attrs == most
    assert json.loads(noted["rest"]) == {"last": {"x": "\0"}}
    nested = parse(json.dumps({"a": more}).encode())
    assert json.loads(nested.attrs["a"]) == more


def test_a_field_of_our_own_name_is_kept_without_clashing() -> None:
    record = parse(b'{"logstreamd":{"flags":7},"n":1e999}')
    assert record.attrs == {"n": "1e999", "logstreamd": {"sender": {"flags": 7}, "flags": ["number"]}}


@pytest.mark.parametrize("frame", [b"{", b'{"a":1', b'{"a":1} x', b"{a:1}", b'{"a":\xff}'])
def test_what_only_begins_like_json_is_kept_whole_and_flagged(frame: bytes) -> None:
    record = parse(frame)
    assert (record.format, record.message) == ("raw", frame.decode("utf-8", "backslashreplace"))
    assert "invalid_json" in flags(record)


@pytest.mark.parametrize("frame", [b"[1,2]", b'"text"', b"12", b"null"])
def test_json_that_is_no_object_is_no_log(frame: bytes) -> None:
    assert (parse(frame).format, parse(frame).message) == ("raw", frame.decode())
