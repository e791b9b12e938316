"""Both twins take a body apart alike: the same batches, and the same reasons for the same lines, of any body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from logstreamd.wire import ingest_body
from logstreamd.wire.batch import Batch
from logstreamd.wire.ingest_body import MAX_LINE_BYTES, Body, BodyError, TooManyLinesError

compiled = pytest.importorskip("logstreamd.wire._ingest_body", reason="the compiled twins are not built")

MANY = settings(max_examples=300, deadline=None)
ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
LOG = b'{"message":"m"}'


def outcome(read_body: Callable[..., Body], body: bytes, max_lines: int, **limits: int) -> Any:
    """Return all that can be seen of a body once it was read, errors among it."""

    def new_batch() -> Batch:
        batch = Batch("http", **limits)
        batch.peer_id("192.0.2.1")
        return batch

    try:
        found = read_body(body, new_batch, received_at=ARRIVAL_US, max_lines=max_lines)
    except (BodyError, TooManyLinesError) as problem:
        return type(problem), str(problem)
    parts = ("data", "ends", "received_at", "peer_ids", "flags", "peers")
    return [[getattr(batch, part) for part in parts] for batch in found.batches], found.rejected


def read_with_both(body: bytes, max_lines: int = 100_000, **limits: int) -> Any:
    """Read a body twice and compare; return what became of it."""
    expected = outcome(ingest_body.read_body, body, max_lines, **limits)
    assert outcome(compiled.read_body, body, max_lines, **limits) == expected
    return expected


def _one_of(*pieces: str) -> SearchStrategy[str]:
    return st.sampled_from(pieces)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
QUOTED = TEXTS.map(json.dumps) | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
ODD_TEXTS = _one_of(
    '"\\/"', '"\\u00e9"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\x"', '"\\"', '"\x00"', '"\x01"', '"\t"',
    '"open', "'m'", '""', '"' + "x" * 129 + '"', '"' + "é" * 100 + '"', '"' + "\\u00e9" * 25 + '"', "NaN",
)  # fmt: skip
TIMES = st.builds(
    '"{}{}{}{}{}"'.format,
    _one_of("2026-11-21", "2024-02-29", "0001-01-01", "9999-12-31"),
    _one_of("T", " ", "t"),
    _one_of("23:59:59", "00:00:00"),
    _one_of("", ".1", ".123456789"),
    _one_of("Z", "z", "+02:00", "-23:59"),
)
ODD_TIMES = st.builds(
    '"{}{}{}{}{}"'.format,
    _one_of("2026-11-21", "2026-11-21", "2023-02-29", "0000-01-01", "26-1-1"),
    _one_of("T", "T", "_"),
    _one_of("23:59:59", "23:59:59", "24:00:00", "12:60:00"),
    _one_of("", ".5", ".", ",5", ".1a"),
    _one_of("", "Z", "-0730", "+05", "+24:00", "+00:60", "Zx", "Z\\u0041", "é"),
)
NUMBERS = _one_of(
    "0", "-0", "7", "8", "30", "60", "-1", "007", "1.0", "0.0", "-0.0", "0.00001", "1e5", "1E-7", "1.5e300", "1e999",
    "0.1234567890123456", "0.30000000000000004", "1.00000000000000001", "999999999999999.5", "1234567890123456.5",
    "999999999999999999", "99999999999999999999", "100000000000000000000", "1795305600", "1795305600.123456",
    "1795305600123456789", "-5.25", "1.", ".5", "9" * 400,
)  # fmt: skip
LEVELS = _one_of('"info"', '"WARN"', '"fatal"', '"information"', '"5"', '"60"', "7", "30", "null")
ODD_LEVELS = _one_of('" error"', '"Error "', '"loud"', '"42"', '"é"', '"\\u0069nfo"', '"K"', '""', "true")
TAGS = _one_of("[]", "{}", '["a", "b"]', '{"a":1,"b" : 1.5,"c":true,"d":"e"}', '[ "a" , "\\u0041" ]', "null")
ODD_TAGS = _one_of(
    '["a",1]', "[null]", '[["a"]]', '{"a":null}', '{"a":[]}', '{"a":{}}', '{"a":1,"a":2}', '{"\\u0061":"b"}', "[1,]",
    "[true]", '"a,b"', '{"a":1e5}',
)  # fmt: skip
NESTED = st.integers(1, 70).map(lambda depth: "[" * depth + "]" * depth) | st.integers(1, 70).map(
    lambda depth: '{"a":' * depth + "1" + "}" * depth
)
ODD_VALUES = (
    QUOTED
    | ODD_TEXTS
    | ODD_TIMES
    | NUMBERS
    | ODD_LEVELS
    | ODD_TAGS
    | NESTED
    | _one_of("true", "false", "null", "nul", "")
)
NAMES = _one_of(
    "timestamp", "@timestamp", "ts", "time", "level", "severity", "lvl", "service", "app", "logger", "host", "hostname",
    "trace_id", "traceId", "message", "msg", "log", "logstreamd", "tags", "a", "é", "", "mess\\u0061ge",
)  # fmt: skip
BLANKS = _one_of("", "", "", " ", "\t ")


def _members(names: SearchStrategy[str], values: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.builds('{}"{}"{}:{}{}{}'.format, BLANKS, names, BLANKS, BLANKS, values, BLANKS)


# What each name is meant for: with a message such lines are logs.
MEANT = (
    _members(_one_of("timestamp", "@timestamp"), TIMES)
    | _members(_one_of("level", "severity"), LEVELS)
    | _members(_one_of("service", "host", "a", "é"), QUOTED)
    | _members(_one_of("trace_id"), TEXTS.map(lambda text: json.dumps("t" + text)))
    | _members(st.just("tags"), TAGS)
)
# And what is nearly so.
ODD = (
    _members(_one_of("ts", "time", "timestamp"), TIMES | ODD_TIMES | NUMBERS)
    | _members(_one_of("lvl", "level"), ODD_LEVELS | NUMBERS)
    | _members(_one_of("trace_id", "traceId"), QUOTED | ODD_TEXTS)
    | _members(st.just("tags"), ODD_TAGS)
    | _members(NAMES, ODD_VALUES)
)


def _objects(odd: SearchStrategy[list[str]]) -> SearchStrategy[str]:
    """Objects with a message, a few members that are as they should be, and others."""
    meant = st.lists(MEANT, max_size=2, unique_by=lambda member: member.partition(":")[0].strip())
    messages = _one_of('"message":"m"', '"msg" : ""', '"message":null,"log":"m"')
    return st.builds(lambda message, some, others: f"{{{','.join([message, *some, *others])}}}", messages, meant, odd)


# A union of unions is one union of all their parts; map() keeps these together, so that logs stay frequent.
LOGS = _objects(st.just([])).map(str)
OBJECTS = (LOGS | _objects(st.lists(ODD, min_size=1, max_size=1))).map(str)
LINES = (LOGS | OBJECTS | (ODD_VALUES | TEXTS).map(str)).map(str)


def _mutate(body: bytes, cut: int, width: int, put: bytes) -> bytes:
    cut %= len(body) + 1
    return body[:cut] + put + body[cut + width :]


def _changed(bodies: SearchStrategy[str]) -> SearchStrategy[bytes]:
    """As they are, with some bytes exchanged, and cut off."""
    whole = bodies.map(str.encode)
    pieces = st.binary(max_size=3) | st.sampled_from([b'"', b"\n", b",", b"]", b"{", b"\xff", b"\0", b"\\"])
    return (
        whole
        | st.builds(_mutate, whole, st.integers(0, 1_000), st.integers(0, 3), pieces)
        | st.builds(lambda body, size: body[: size % (len(body) + 1)], whole, st.integers(0, 1_000))
    )


def _arrays(elements: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.lists(st.builds("{}{}{}".format, BLANKS, elements, BLANKS), max_size=8).map(",".join)


LINE_BODIES = _changed(
    st.lists(st.tuples(LINES, _one_of(*["\n"] * 8, "\r\n", "\n\n", " \n\t", "\n \r\n  ", "\r", "")), max_size=12).map(
        lambda pairs: "".join(line + end for line, end in pairs)
    )
)
ARRAY_BODIES = _changed(
    st.builds(
        "{}[{}]{}".format,
        BLANKS,
        (_arrays(OBJECTS) | _arrays(LINES)).map(str),
        _one_of("", "", "\n", " \r\n", "]", ",", "x"),
    )
)
SPREAD_OBJECTS = _changed(OBJECTS.map(lambda line: "\n" + line.replace(",", ",\n ").replace("{", "{\n") + "\n"))
LIMITS = st.sampled_from([(100_000, 16_384, 2 << 20), (3, 16_384, 2 << 20), (100_000, 2, 2 << 20), (100_000, 9, 40)])


def compare(body: bytes, limits: tuple[int, int, int]) -> None:
    max_lines, max_rows, max_bytes = limits
    read_with_both(body, max_lines, max_rows=max_rows, max_bytes=max_bytes)


@settings(max_examples=1_000, deadline=None)
@given(OBJECTS)
@example('{"message":"m","time":"2026-11-21T23:00:00,5Z"}')
@example('{"message":"m","time":"2026-11-21T23:00:00+0100"}')
@example('{"message":"m","time":"9999-12-31T23:59:59-00:01"}')
@example('{"message":"m","time":"0001-01-01T00:00:00+00:01"}')
def test_a_line_is_a_log_or_not_for_both(line: str) -> None:
    read_with_both(line.encode())


@MANY
@given(LINE_BODIES, LIMITS)
def test_lines_are_taken_apart_alike(body: bytes, limits: tuple[int, int, int]) -> None:
    compare(body, limits)


@MANY
@given(ARRAY_BODIES, LIMITS)
@example(b"[1,", (9, 9, 9))
@example(b'["\\', (9, 9, 9))
@example(b'[{"message":"m"]}', (9, 9, 9))
@example(b"[" + LOG + b"] 2", (9, 9, 9))
@example(b"[" + LOG + b"}", (9, 9, 9))
@example(b"[" + LOG + b"," + LOG.replace(b"m", b"\xff") + b"]", (9, 9, 9))
def test_arrays_are_taken_apart_alike(body: bytes, limits: tuple[int, int, int]) -> None:
    compare(body, limits)


@MANY
@given(SPREAD_OBJECTS, LIMITS)
def test_objects_on_several_lines_are_taken_apart_alike(body: bytes, limits: tuple[int, int, int]) -> None:
    compare(body, limits)


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b",", b"\\", b"\n", LOG])).map(b"".join)
)
def test_any_bytes_are_taken_apart_alike(body: bytes) -> None:
    read_with_both(body)


@pytest.mark.parametrize("join", [b"\n".join, lambda lines: b"[" + b",".join(lines) + b"]"], ids=["lines", "array"])
@pytest.mark.parametrize("every", [0, 2, 8_191, 8_192, 8_193])
def test_a_body_of_many_pieces_fills_batches_to_the_row(join: Callable[[list[bytes]], bytes], every: int) -> None:
    lines = [b'{"message":%d}' % n if every and n % every == 0 else b'{"log":"%d"}' % n for n in range(1, 25_001)]
    batches, rejected = read_with_both(join(lines), max_rows=7_000)
    assert len(batches) == -(-(25_000 - len(rejected)) // 7_000)
    assert [number for number, _ in rejected] == (list(range(every, 25_001, every)) if every else [])


def test_lines_of_many_bytes_are_read_in_several_pieces_too() -> None:
    longest = b'{"message":"%s"}' % (b"x" * (MAX_LINE_BYTES - 14))
    batches, rejected = read_with_both(b"\n".join([longest, longest + b" ", longest + b"x"] * 60))
    assert (sum(len(batch[1]) for batch in batches), len(rejected)) == (120, 60)


@pytest.mark.parametrize("count", [8_191, 8_192, 8_193])
def test_the_limit_of_lines_is_the_same_at_the_end_of_a_piece(count: int) -> None:
    for body in (b"\n".join([LOG] * count), b"[" + b",".join([LOG] * count) + b"]"):
        for max_lines in (count - 1, count):
            read_with_both(body, max_lines)


USUAL = (
    b'{"timestamp":"2026-11-22T03:00:00.5Z","level":"info","service":"s","host":"h","trace_id":"t","message":"m"}',
    b'{"ts":1795305600.25,"lvl":30,"app":"s","msg":"\\u00fc \xc3\xbc\\n","x":[1,-2,3.5,true,null,{"a":"b"}]}',
    b' { "@timestamp" : "2026-11-22 03:00:00+01:00" , "log" : "" , "tags" : { "a" : 1 , "b" : true } } ',
    b'{"message":"m","tags":["a","b"],"level":null,"time":1795305600123}\r',
)


@pytest.mark.parametrize("body", [b"\n".join(USUAL * 3), b"[" + b",".join(USUAL * 3) + b"]", *USUAL])
def test_a_usual_body_is_taken_apart_without_asking_the_plain_twin(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = outcome(ingest_body.read_body, body, 100)
    for name in ("refusal", "read_body", "decode_array", "is_one_object"):
        monkeypatch.setattr(ingest_body, name, lambda *_, **__: pytest.fail("asked"))
    assert outcome(compiled.read_body, body, 100) == expected
