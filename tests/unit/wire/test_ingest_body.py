"""What a body is taken apart into, by both twins."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from logstreamd.wire import ingest_body
from logstreamd.wire.batch import Batch
from logstreamd.wire.ingest_body import MAX_LINE_BYTES, BodyError, TooManyLinesError, refusal

LOG = b'{"message": "m"}'
ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
Read = Callable[..., tuple[list[bytes], list[tuple[int, str]]]]


def new_batch(**limits: int) -> Batch:
    batch = Batch("http", **limits)
    batch.peer_id("192.0.2.1")
    return batch


@pytest.fixture(params=["ingest_body", "_ingest_body"])
def twin(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(
        f"logstreamd.wire.{request.param}", reason="the compiled twins are not built", exc_type=ImportError
    )


@pytest.fixture
def read(twin: Any) -> Read:
    """Reads a body into frames and what is wrong with the rest."""

    def read(body: bytes, max_lines: int = 1000) -> tuple[list[bytes], list[tuple[int, str]]]:
        found = twin.read_body(body, new_batch, received_at=ARRIVAL_US, max_lines=max_lines)
        return [frame for batch in found.batches for frame in batch.frames()], found.rejected

    return read


def log(**fields: Any) -> bytes:
    return json.dumps({"message": "m", **fields}).encode()


def test_an_array_is_taken_apart_into_its_elements(read: Read) -> None:
    assert read(b' [ {"message": "a"} ,\n{"message":\n"b"} ]\n') == (
        [b'{"message": "a"}', b'{"message":\n"b"}'],
        [],
    )


def test_lines_are_logs_whatever_ends_them(read: Read) -> None:
    assert read(b'{"message": "a"}\r\n\n  {"message": "b"}  \n{"message": "c"}') == (
        [b'{"message": "a"}', b'{"message": "b"}', b'{"message": "c"}'],
        [],
    )


@pytest.mark.parametrize(
    "body",
    [
        LOG,
        b"\n" + LOG + b"\n",
        b'{\n  "message": "m",\n  "tags": {\n    "a": 1\n  }\n}\n',
        b'\n\n{"message":\n"m"}\n\n',
    ],
)
def test_one_object_is_one_log_on_as_many_lines_as_it_likes(read: Read, body: bytes) -> None:
    assert read(body) == ([body.strip()], [])


@pytest.mark.parametrize("body", [b"", b" \n\t\r\n"])
def test_an_empty_body_is_said_to_be_empty(read: Read, body: bytes) -> None:
    with pytest.raises(BodyError, match="empty"):
        read(body)


@pytest.mark.parametrize("body", [b"[", b'[{"message": "m"}', b"[1,]", b"[1] 2", b"[" * 100_000])
def test_a_broken_array_is_refused_as_a_whole(read: Read, body: bytes) -> None:
    with pytest.raises(BodyError, match="not a JSON array"):
        read(body)


def test_an_empty_array_holds_nothing(read: Read) -> None:
    assert read(b"[]") == ([], [])


def test_what_is_no_log_is_named_by_its_line_and_the_rest_is_taken(read: Read) -> None:
    frames, rejected = read(b"\n" + LOG + b"\n\nnot json\n" + LOG + b"\n[1]\n")
    assert frames == [LOG, LOG]
    assert [number for number, _ in rejected] == [4, 6]
    assert rejected[0][1] == "must be a JSON object (got 'not json')"


def test_what_is_no_log_in_an_array_is_named_by_its_position(read: Read) -> None:
    frames, rejected = read(b'[{"message": "m"}, 1, "x", null, {}, {"message": "m"}]')
    assert len(frames) == 2
    assert [number for number, _ in rejected] == [2, 3, 4, 5]


def test_a_log_spread_out_among_others_is_refused_line_by_line(read: Read) -> None:
    frames, rejected = read(LOG + b'\n{\n"message": "m"\n}\n')
    assert frames == [LOG]
    assert [number for number, _ in rejected] == [2, 3, 4]


def test_as_many_logs_as_allowed_are_taken_and_not_one_more(read: Read) -> None:
    for separator, opening, closing in ((b"\n", b"", b""), (b",", b"[", b"]")):
        body = opening + separator.join([LOG] * 10) + closing
        assert len(read(body, 10)[0]) == 10
        with pytest.raises(TooManyLinesError, match="more than 9 lines"):
            read(body, 9)


def test_logs_fill_one_batch_after_the_other_and_all_are_of_one_sender(twin: Any) -> None:
    body = b"\n".join([LOG] * 10 + [b"no log"] + [LOG] * 15)
    found = twin.read_body(body, lambda: new_batch(max_rows=10), received_at=ARRIVAL_US, max_lines=100)
    assert [len(batch) for batch in found.batches] == [10, 10, 5]
    assert found.accepted == 25
    for batch in found.batches:
        assert batch.peers == ["192.0.2.1"]
        assert set(batch.received_at) == {ARRIVAL_US}
        assert set(batch.peer_ids) == set(batch.flags) == {0}


def test_a_batch_takes_the_log_that_crosses_its_bytes_and_no_other(twin: Any) -> None:
    body, limit = b"\n".join([LOG] * 10), 2 * len(LOG) + 1
    found = twin.read_body(body, lambda: new_batch(max_bytes=limit), received_at=ARRIVAL_US, max_lines=100)
    assert [len(batch) for batch in found.batches] == [3, 3, 3, 1]


def test_no_batch_is_made_for_what_is_no_log(twin: Any) -> None:
    found = twin.read_body(b"x\ny", lambda: pytest.fail("made"), received_at=ARRIVAL_US, max_lines=100)
    assert (found.batches, found.accepted, len(found.rejected)) == ([], 0, 2)


@pytest.mark.parametrize("body", [LOG + b"\n" + LOG, b"[" + LOG + b"]", b"[" + LOG + b",1]", b"[1"])
def test_a_body_may_be_a_bytearray_and_is_let_go(twin: Any, body: bytes) -> None:
    given = bytearray(body)
    with suppress(BodyError):
        twin.read_body(given, new_batch, received_at=ARRIVAL_US, max_lines=100)
    given.clear()  # refused while anybody looks into it


def test_blank_lines_do_not_count(read: Read) -> None:
    assert len(read(b"\n" * 5000 + LOG + b"\n \n" * 5000, 1)[0]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 30 + b"1]",
        b"[" + b"[],{}," * 15 + b"1]",
        b'["a,]",' + b'"\\\\",' * 30 + b"1]",
    ],
)
def test_an_array_of_very_many_elements_is_counted_before_it_is_decoded(
    read: Read, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_body, "_UNCOUNTED_ELEMENTS", 10)
    monkeypatch.setattr(ingest_body.msgspec.json, "decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(TooManyLinesError, match="more than 10 lines"):
        read(body, 10)


def test_commas_inside_of_logs_are_no_elements(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_body, "_UNCOUNTED_ELEMENTS", 10)
    inside = b'{"message": "a,b,\\",c,\\\\", "more": [1, 2, [3, 4], {"x": 5, "y": 6}]}'
    frames, rejected = read(b"[" + b",".join([inside] * 4) + b"]", 4)
    assert (len(frames), rejected) == (4, [])
    with pytest.raises(TooManyLinesError):
        read(b"[" + b",".join([inside] * 5) + b"]", 4)


@pytest.mark.parametrize("string", [b'"' + b'\\"' * 50_000, b'"' + b"\\" * 100_001, b'"' * 100_001])
def test_counting_takes_linear_time_on_strings_that_do_not_end(
    read: Read, string: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_body, "_UNCOUNTED_ELEMENTS", 1)
    with pytest.raises((BodyError, TooManyLinesError)):  # quadratic would be minutes
        read(b"[1," + string, 100_000)


def test_a_log_may_be_as_long_as_a_frame_and_no_longer(read: Read) -> None:
    longest = log(message="x" * (MAX_LINE_BYTES - len(log(message=""))))
    assert len(longest) == MAX_LINE_BYTES
    assert refusal(longest) is None
    assert refusal(longest + b" ") == f"longer than {MAX_LINE_BYTES} bytes (got {MAX_LINE_BYTES + 1})"
    assert read(longest + b"\n" + longest[:-2] + b'x"}')[1] == [(2, refusal(longest[:-2] + b'x"}'))]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"level": "WARN"},
        {"severity": "fatal"},
        {"lvl": 30},
        {"timestamp": "2026-11-22T03:00:00Z"},
        {"@timestamp": "2026-11-22T03:00:00.123456789+05:30"},
        {"ts": 1_795_000_000},
        {"time": 1_795_000_000_123},
        {"timestamp": None, "level": None, "service": None, "tags": None, "trace_id": None},
        {"service": "checkout", "host": "web-1", "trace_id": "x" * 128},
        {"tags": {"a": "b", "n": 1, "f": 1.5, "t": True}},
        {"tags": ["a", "b"]},
        {"tags": {}},
        {"tags": []},
        {"anything": {"else": [1, {"deep": None}]}},
    ],
)
def test_what_a_log_may_say(read: Read, fields: dict[str, Any]) -> None:
    assert read(log(**fields)) == ([log(**fields)], [])


@pytest.mark.parametrize("name", ["message", "msg", "log"])
def test_the_message_has_three_names(read: Read, name: str) -> None:
    assert read(json.dumps({name: ""}).encode())[1] == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"level": "loud"}, "level: must be one of debug, info, notice, warning"),
        ({"severity": 99}, "severity: must be one of"),
        ({"lvl": True}, "lvl: must be one of"),
        ({"level": ""}, "level: must be one of"),
        ({"timestamp": "yesterday"}, "timestamp: must be a time like"),
        ({"timestamp": "2026-11-22T03:00:00"}, "timestamp: must be a time like"),
        ({"timestamp": "2026-02-30T03:00:00Z"}, "timestamp: must be a time like"),
        ({"@timestamp": True}, "@timestamp: must be a time like"),
        ({"ts": []}, "ts: must be a time like"),
        ({"time": -5}, "time: must be a time like"),
        ({"service": 7}, "service: must be a string (got 7)"),
        ({"app": ["x"]}, "app: must be a string"),
        ({"host": {}}, "host: must be a string"),
        ({"hostname": 1.5}, "hostname: must be a string"),
        ({"trace_id": ""}, "trace_id: must be a string of 1..128 characters"),
        ({"traceId": "x" * 129}, "traceId: must be a string of 1..128 characters"),
        ({"trace_id": 5}, "trace_id: must be a string"),
        ({"tags": "a,b"}, "tags: must be an object of plain values or a list of strings"),
        ({"tags": [1]}, "tags: must be"),
        ({"tags": {"a": None}}, "tags: must be"),
        ({"tags": {"a": {"b": 1}}}, "tags: must be"),
        ({"message": 5}, "message: must be a string (got 5)"),
        ({"message": None}, "message: is missing"),
        ({"message": None, "msg": ["m"]}, "msg: must be a string"),
    ],
)
def test_why_a_log_is_refused(read: Read, fields: dict[str, Any], reason: str) -> None:
    frames, ((number, given),) = read(log(**fields))
    assert (frames, number) == ([], 1)
    assert given.startswith(reason)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'"x"', b"1", b"null", b"\xff\xfe", b"{}x", b" {}"])
def test_what_is_not_an_object_is_refused(line: bytes) -> None:
    reason = refusal(line)
    assert reason is not None
    assert reason.startswith("must be a JSON object")


def test_a_reason_shows_the_beginning_only() -> None:
    reason = refusal(b"y" * 5000)
    assert reason is not None
    assert len(reason) < 100


def test_a_reason_can_be_shown_on_any_terminal() -> None:
    reason = refusal(b"\x1b[31m\xff\0")
    assert reason is not None
    assert reason.isprintable()
