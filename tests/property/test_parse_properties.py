"""What must hold for every frame, whatever its bytes are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from storable import assert_storable

from logstreamd.wire.batch import PARTIAL, TRUNCATED
from logstreamd.wire.json_document import decode_object
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The beginnings lead into every reader; what follows is anything.
BEGINNINGS = st.sampled_from(
    [
        b"", b"<34>", b"<34>1 ", b"<34>1 - ", b"<34>1 - h a p m ", b"<34>1 - h a p m [", b'<34>1 - h a p m [x k="',
        b"<34>1 2026-11-21T23:00:00", b"<34>Nov 21 23:00:00", b"<34>Nov 21 23:00:00 h ", b"<34>Nov 21 23:00:00 h a[",
        b"<189>1: h: ", b"<189>: 2026 Nov 21 ", b"<34>2026-11-21T23:00:00Z h ", b"CEF:0|", b"<34>LEEF:1.0|", b"{",
        b'{"a":', b'{"level":', b'{"timestamp":', b'{"message":"\\ud800', b"<34>Nov 21 23:00:00 h a: @cee:{", b" <34>",
        b"5 <",
    ]
)  # fmt: skip
TOKENS = st.sampled_from(
    [
        b" ",
        b"-",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"=",
        b":",
        b"|",
        b"{",
        b"}",
        b",",
        b"1",
        b"\xff",
        b"\0",
        b"\n",
        b"NaN",
        b"1e999",
        b"x",
    ]
)
FRAMES = st.builds(
    lambda start, rest: start + rest, BEGINNINGS, st.lists(TOKENS | st.binary(max_size=4), max_size=20).map(b"".join)
)


@given(FRAMES, st.sampled_from([0, TRUNCATED, PARTIAL, TRUNCATED | PARTIAL]))
def test_any_bytes_become_one_record_that_can_be_stored(frame: bytes, flags: int) -> None:
    policy = Policy()
    record = parse_frame(frame, ARRIVAL_US, policy, flags)
    assert_storable(record)
    assert ARRIVAL_US - policy.max_past_us <= record.ts <= ARRIVAL_US + policy.max_future_us
    noted = record.attrs.get("logstreamd", {}).get("flags", [])
    assert ("truncated" in noted, "partial" in noted) == (bool(flags & TRUNCATED), bool(flags & PARTIAL))


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).filter(
    lambda word: word != "-" and "EF:" not in word
)
SD_NAMES = st.text(st.sampled_from("abcXYZ019@._-/:"), min_size=1, max_size=10).filter(
    lambda name: name != "logstreamd"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ELEMENTS = st.dictionaries(SD_NAMES, st.dictionaries(SD_NAMES, TEXTS, max_size=3), max_size=3)


def _element(sd_id: str, params: dict[str, str]) -> str:
    escaped = {name: re.sub(r'(["\\\]])', r"\\\1", value) for name, value in params.items()}
    return "[" + sd_id + "".join(f' {name}="{value}"' for name, value in escaped.items()) + "]"


@given(
    st.integers(0, 191),
    st.integers(-7 * 86_400_000_000, 600_000_000),
    st.tuples(*[st.none() | WORDS] * 4),
    ELEMENTS,
    TEXTS.filter(
        lambda text: text == text.rstrip("\r\n") and not text.startswith(("\ufeff", "@cee:", "CEF:", "LEEF:"))
    ),
)
def test_a_well_formed_rfc5424_frame_gives_back_what_went_into_it(
    priority: int, age_us: int, fields: tuple[str | None, ...], elements: dict[str, dict[str, str]], message: str
) -> None:
    stamp = (EPOCH + timedelta(microseconds=ARRIVAL_US + age_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    data = "".join(_element(sd_id, params) for sd_id, params in elements.items())
    header = " ".join(field or "-" for field in fields)
    record = parse_frame(f"<{priority}>1 {stamp} {header} {data or '-'} {message}".encode(), ARRIVAL_US, Policy())
    assert (record.facility * 8 + record.severity, record.ts) == (priority, ARRIVAL_US + age_us)
    assert (record.host, record.service, record.proc_id, record.msg_id) == fields
    assert (record.attrs, record.message, record.format) == (elements, message, "rfc5424")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
    max_leaves=15,
)
MAPPED = {
    "timestamp", "@timestamp", "ts", "time", "level", "severity", "lvl", "service", "app", "logger", "host", "hostname",
    "trace_id", "traceId", "message", "msg", "log", "logstreamd",
}  # fmt: skip


@given(st.dictionaries(TEXTS.filter(lambda name: name not in MAPPED), JSON_VALUES, max_size=6))
def test_fields_of_a_json_object_that_mean_no_column_come_out_as_they_went_in(fields: dict[str, Any]) -> None:
    frame = json.dumps(fields, ensure_ascii=False).encode()
    record = parse_frame(frame, ARRIVAL_US, Policy())
    assert record.attrs == fields
    assert record.message == frame.decode()


@given(st.lists(TOKENS, max_size=25).map(b"".join))
def test_both_json_decoders_agree_where_both_can_read(tail: bytes) -> None:
    # A raw control character sends a document through the lenient decoder and changes nothing else of it.
    strict, lenient = decode_object(b'{"a":"b",' + tail + b"}"), decode_object(b'{"a":"\t",' + tail + b"}")
    assert (strict is None) == (lenient is None)
    if strict is not None and lenient is not None:
        strict.fields.pop("a"), lenient.fields.pop("a")
        assert strict == lenient
