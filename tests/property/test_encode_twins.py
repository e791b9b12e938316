"""Both twins of encode make the same bytes of anything: any text, and lines that are well-formed or nearly so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from twins import ARRIVAL_US, POLICIES, WIDE, batch_of, compiled_twin, encode_with_both

from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch
from logstreamd.wire.policy import Policy
from logstreamd.wire.sender import sender_entry

pytestmark = pytest.mark.usefixtures("compiled")
MANY = settings(max_examples=300, deadline=None)


@pytest.fixture(scope="module")
def compiled() -> None:
    compiled_twin()


def _one_of(*pieces: str) -> SearchStrategy[str]:
    return st.sampled_from(pieces)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PRIORITIES = st.integers(0, 191).map("<{}>".format) | _one_of("<>", "<192>", "<034>", "<1", "", " <34>", "34 <34>")
ISO_STAMPS = st.builds(
    "{}{}{}{}{}".format,
    _one_of(
        "2026-11-21", "2026-11-22", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "2026-13-01", "0000-01-01"
    ),
    _one_of("T", " ", "t"),
    _one_of("23:59:59", "00:00:00", "24:00:00", "12:60:00", "2:00:00"),
    _one_of("", ".1", ".123456", ".123456789", ".", ",5", ".1a"),
    _one_of("", "Z", "z", "+02:00", "-0730", "+05", "+5", "+24:00", "-00:60", "+01:0", "Zx"),
)
BSD_STAMPS = st.builds(
    "{} {} {}{}".format,
    _one_of("Nov", "nov", "NOV", "Jan", "Feb", "Dec", "Foo", "No"),
    _one_of("21", "22", " 1", "1", "29", "31", "00", "2026"),
    _one_of("23:59:59", "00:00:00", "24:00:00", "12:00:60", "1:00:00", "12:00"),
    _one_of("", "", "", ".123", ":", " CET", " UTC", " UTC:", " CET 2026", " 2026", " 2026:", " EDGE", " A:", "x", "Z"),
)
WORDS = _one_of(
    "-", "web-01", "10.1.2.3", "fe80::1", "fe80::1:", "app", "app[12]", "app[12]:", "app:", "app:x", "a:", "a:/x",
    "x//y", "http://x", "12", "12:", "1.2.3.4:", "%ASA-6-1:", "[x]", "[x]:", ":", ":x", ":x]:", "a[b]c", "a[b", "a]b",
    "a=b", 'a"b:', "(root)", "last message repeated 2 times", "Message forwarded from h:", "Ü", "h\x7f", "h,1,2", "*",
    "UTC", "CEF:0|a|", "@cee:{}", "", " ", "h" * 300, "h" * 513, "é" * 300, "\ufeff", "1", "0", "2026", "--", "ID47",
    "@1", "s" * 64 + ":",
)  # fmt: skip
ELEMENTS = st.builds(
    "[{}{}]".format,
    _one_of("a", "x@1", "trace", "logstreamd", "tls_subject", "é", "", "a b", "a]", 'q"', "back\\slash"),
    st.lists(
        st.builds(
            "{}{}={}".format,
            _one_of(" ", "  ", ""),
            _one_of("k", "trace_id", "ip", "é", "", "k\\"),
            st.builds(
                '"{}"'.format, TEXTS | _one_of('\\"', "\\\\", "\\]", "\\n", "\\", "]", "\x01\n", '"', "", "t" * 513)
            )
            | _one_of("bare", "b\\n", "", "x]"),
        ),
        max_size=4,
    ).map("".join),
)
STRUCTURED_DATA = _one_of("-", "", "- -", "[") | st.lists(ELEMENTS, min_size=1, max_size=3).map("".join)
RFC5424_LINES = st.builds(
    "{}{}{} {} {} {}".format,
    PRIORITIES,
    _one_of("1 ", "1 ", "1 ", "1", "2 ", "0 ", "01 ", "1234 "),
    ISO_STAMPS | _one_of("-", "x", "") | BSD_STAMPS,
    st.lists(WORDS, min_size=3, max_size=5).map(" ".join),
    STRUCTURED_DATA,
    TEXTS | WORDS,
)
RFC3164_LINES = st.builds(
    "{}{}{}{}{}".format,
    PRIORITIES,
    _one_of("", "", "", " ", "12: ", "host: ", "*", "1: h: *", "app: 12: ", "a: b: "),
    BSD_STAMPS | ISO_STAMPS | st.just(""),
    st.lists(WORDS | STRUCTURED_DATA, max_size=5).map(lambda words: "".join(f" {word}" for word in words)),
    _one_of("", " ", "  ", ": "),
)
NUMBERS = _one_of(
    "0", "-0", "7", "30", "-1", "007", "1.0", "1.50", "0.0", "-0.0", "0.001", "0.0001", "0.00001", "1e5", "1E-7",
    "1.5e3", "0.1234567890123456", "0.30000000000000004", "1.00000000000000001", "123456789012345.5",
    "1234567890123456.5", "999999999999999999", "1000000000000000000", "18446744073709551616", "1795305600",
    "1795305600.123456", "1795305600123", "1795305600123456", "1795305600123456789", "1732240800.1234567", "-5.25",
    "1.", ".5", "1..5", "9" * 400,
)  # fmt: skip
NAMES = _one_of(
    "timestamp", "@timestamp", "ts", "time", "level", "severity", "lvl", "service", "app", "logger", "host", "hostname",
    "trace_id", "traceId", "message", "msg", "log", "logstreamd", "tls_subject", "peer_pid", "a", "b", "tags", "é", "",
)  # fmt: skip
QUOTED = TEXTS.map(json.dumps) | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)) | st.builds(
    '"{}"'.format,
    _one_of(
        "info", "WARN", " error", "Error ", "fatal", "42", "5", "60", "é", "2026-11-21T23:00:00Z",
        "2026-11-21 23:00:00,5", "1795305600", "1795305600.5", "12345678901234567890", "\\/", "\\u0041", "\\u00e9",
        "\\u0001", "\\u0000", "\\ud83d\\ude00", "\\ud83d", "\\ude00\\ud83d", "\\u12", "\\x", "\\", "\n",
        "\\u0022\\u005c", "x" * 513, "é" * 300, "",
    ),
)  # fmt: skip
SCALARS = QUOTED | NUMBERS | ISO_STAMPS.map('"{}"'.format) | _one_of("true", "false", "null", "nul", "NaN", "")
BLANKS = _one_of("", "", "", " ", "\n\t", "\r")


def _containers(values: SearchStrategy[str]) -> SearchStrategy[str]:
    members = st.builds('{}"{}"{}:{}{}'.format, BLANKS, NAMES, BLANKS, BLANKS, values)
    return st.lists(values, max_size=4).map(lambda items: f"[{','.join(items)}]") | st.lists(members, max_size=4).map(
        lambda items: f"{{{','.join(items)}}}"
    )


JSON_LINES = st.builds(
    "{{{}{}}}{}".format,
    BLANKS,
    st.lists(
        st.builds(
            '"{}"{}:{}{}{}'.format, NAMES, BLANKS, BLANKS, st.recursive(SCALARS, _containers, max_leaves=6), BLANKS
        ),
        max_size=6,
    ).map(",".join),
    _one_of("", "", "", " ", "\n", "x", ","),
)
LINES = RFC5424_LINES | RFC3164_LINES | JSON_LINES | TEXTS


def _mutate(line: str, cut: int, width: int, put: bytes) -> bytes:
    data = line.encode()
    cut %= len(data) + 1
    return data[:cut] + put + data[cut + width :]


CHANGED = st.builds(_mutate, LINES, st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3) | st.just(b'"'))
FRAMES = LINES.map(str.encode) | CHANGED | st.binary(max_size=40)


@MANY
@given(st.lists(RFC5424_LINES.map(str.encode), min_size=1, max_size=20), st.sampled_from(POLICIES))
def test_rfc5424_lines_give_the_same_rows(frames: list[bytes], policy: Policy) -> None:
    encode_with_both(batch_of(frames), policy)


@MANY
@given(st.lists(RFC3164_LINES.map(str.encode), min_size=1, max_size=20), st.sampled_from(POLICIES))
def test_rfc3164_lines_give_the_same_rows(frames: list[bytes], policy: Policy) -> None:
    encode_with_both(batch_of(frames), policy)


@MANY
@given(st.lists(JSON_LINES.map(str.encode), min_size=1, max_size=20), st.sampled_from(POLICIES))
def test_json_lines_give_the_same_rows(frames: list[bytes], policy: Policy) -> None:
    encode_with_both(batch_of(frames), policy)


@MANY
@given(st.lists(FRAMES, max_size=20), st.sampled_from(POLICIES), st.integers(0, 4_000_000_000_000_000))
def test_any_bytes_give_the_same_rows(frames: list[bytes], policy: Policy, received_at: int) -> None:
    encode_with_both(batch_of(frames, received_at), policy)


# What Python's calendar has: the first day of the year 2 to the last of 9998.
ARRIVALS = st.integers(-62_104_060_800_000_000, 253_370_764_800_000_000)


@given(st.lists(st.tuples(FRAMES, ARRIVALS, st.sampled_from([0, TRUNCATED, PARTIAL])), max_size=8))
def test_any_arrival_and_any_flag_give_the_same_rows(entries: list[tuple[bytes, int, int]]) -> None:
    batch = Batch("edge")
    for frame, received_at, flags in entries:
        batch.append(frame, received_at, batch.peer_id(""), flags)
    encode_with_both(batch, Policy())


USUAL = b"<34>1 2026-11-21T23:00:00Z h a 1 - - usual"
UNUSUAL = b"<34>1 2026-11-21T23:00:00Z h a 1 - [broken unusual"


KNOWN = st.dictionaries(NAMES.filter(bool), TEXTS | st.integers(-(2**63), 2**63 - 1), max_size=4)


@given(st.lists(st.tuples(FRAMES, KNOWN), min_size=1, max_size=8))
def test_whatever_is_known_of_the_senders_gives_the_same_rows(
    entries: list[tuple[bytes, dict[str, str | int]]],
) -> None:
    batch = Batch("edge")
    for frame, known in entries:
        batch.append(frame, ARRIVAL_US, batch.peer_id(sender_entry("192.0.2.1", known)))
    encode_with_both(batch)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_what_is_left_to_the_plain_twin_comes_in_at_its_place(pattern: list[bool]) -> None:
    frames = [USUAL if is_usual else UNUSUAL for is_usual in pattern]
    assert encode_with_both(batch_of(frames)) == pattern.count(False)


@given(
    st.dictionaries(TEXTS, st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
        max_leaves=15,
    ), max_size=6),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": ")]),
)  # fmt: skip
def test_whatever_python_dumps_as_json_gives_the_same_row(
    document: dict[str, Any], ensure_ascii: bool, separators: tuple[str, str]
) -> None:
    line = json.dumps(document, ensure_ascii=ensure_ascii, separators=separators)
    encode_with_both(batch_of([line.encode()], ARRIVAL_US), WIDE)
