from __future__ import annotations

import pytest

from logstreamd.inputs.files.cut import Cutter
from logstreamd.wire.batch import PARTIAL, TRUNCATED

JAVA = [
    "2026-11-22 03:00:00 ERROR cannot pay",
    "java.lang.IllegalStateException: no",
    "\tat a.B.c(B.java:1)",
    "\t... 12 more",
    "Caused by: java.io.IOException: gone",
    "\tat a.D.e(D.java:2)",
]
PYTHON = [
    "2026-11-22 03:00:00 ERROR cannot pay",
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in <module>',
    "    pay()",
    "KeyError: 'x'",
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    "Traceback (most recent call last):",
    '  File "b.py", line 2, in <module>',
    "shop.errors.PayError: no",
]
GO = [
    "panic: runtime error: index out of range [3] with length 3",
    "",
    "goroutine 1 [running]:",
    "main.(*Server).handle(0xc000010000)",
    "\t/app/main.go:12 +0x1d",
    "created by main.main in goroutine 1",
    "\t/app/main.go:9 +0x25",
    "exit status 2",
]
NODE = [
    "/app/server.js:12",
    "    throw new Error('no');",
    "    ^",
    "",
    "Error: no",
    "    at pay (/app/server.js:12:11)",
    "",
    "Node.js v20.1.0",
]
PRETTY = ["{", '  "level": "error",', '  "message": "x"', "}"]
NEXT = "2026-11-22 03:00:01 INFO next"


def cut(lines: list[str], *, close: bool = True, last: bool = False, end: str = "\n", **limits: int) -> list[str]:
    cutter = Cutter(**{"max_frame_bytes": 1000, "max_record_lines": 500, **limits})
    buffer = "".join(line + end for line in lines).encode()
    return [record.frame.decode() for record in cutter.cut(buffer, close=close, last=last)]


@pytest.mark.parametrize("trace", [JAVA, PYTHON, GO, NODE, PRETTY], ids=["java", "python", "go", "node", "json"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stack_trace_is_one_record(trace: list[str], end: str) -> None:
    assert cut(["2026-11-22 02:59:59 INFO before", *trace, NEXT], end=end) == [
        "2026-11-22 02:59:59 INFO before",
        "\n".join(trace),
        NEXT,
    ]


def test_lines_are_records_of_their_own_when_nothing_is_joined() -> None:
    assert cut(JAVA, max_record_lines=1) == JAVA


def test_exceptions_without_a_trace_are_records_of_their_own() -> None:
    lines = ["java.lang.IllegalStateException: one", "java.lang.IllegalStateException: two"]
    assert cut(lines) == lines


def test_plain_lines_are_not_joined() -> None:
    lines = ["started", "main: listening", "ready()", "done", "", "after a blank line"]
    assert cut(lines) == ["started", "main: listening", "ready()", "done", "after a blank line"]


def test_the_last_record_waits_until_it_is_closed() -> None:
    assert cut(["one", "two"], close=False) == ["one"]
    assert cut(["one", "two"], close=True) == ["one", "two"]


def test_a_json_object_waits_for_nothing() -> None:
    assert cut(['{"a": 1}', '{"b": 2}'], close=False) == ['{"a": 1}', '{"b": 2}']


def test_a_line_without_its_end_is_given_out_only_as_the_last_one() -> None:
    cutter = Cutter(max_frame_bytes=100, max_record_lines=500)
    assert [record.frame for record in cutter.cut(b"one\ntw", close=True)] == [b"one"]
    records = cutter.cut(b"one\ntw", last=True)
    assert [(record.frame, record.flags) for record in records] == [(b"one", 0), (b"tw", PARTIAL)]


def test_a_record_has_no_more_lines_than_it_may() -> None:
    assert [record.count("\n") + 1 for record in cut(["head", *["  more"] * 11], max_record_lines=5)] == [5, 5, 2]


def test_a_record_has_no_more_bytes_than_it_may() -> None:
    records = cut(["head", *["  " + "x" * 400] * 5])
    assert all(len(record) <= 1000 for record in records)
    assert "\n".join(records).split("\n") == ["head", *["  " + "x" * 400] * 5]


def test_a_line_that_is_too_long_is_cut_and_marked() -> None:
    records = Cutter(max_frame_bytes=1000, max_record_lines=500).cut(b"x" * 1500 + b"\nnext\n", close=True)
    assert [(len(record.frame), record.flags) for record in records] == [(1000, TRUNCATED), (4, 0)]


def test_every_byte_belongs_to_one_record_or_to_what_is_read_again() -> None:
    buffer = ("\n".join([*JAVA, "", NEXT, *PYTHON, "half"])).encode()
    records = Cutter(max_frame_bytes=1000, max_record_lines=500).cut(buffer)
    ends = [record.end for record in records]
    assert ends == sorted(set(ends))
    assert buffer[ends[-1] :].startswith(b"2026-11-22 03:00:00 ERROR")


def test_nothing_but_blank_lines_is_nothing() -> None:
    assert cut(["", "  ", "\t"]) == []


@pytest.mark.timeout(20)  # a regular expression that backtracks takes minutes
@pytest.mark.parametrize("head", [b"head", b"panic: x", b"Traceback (most recent call last):", b"/a.js:1"])
def test_hostile_lines_take_linear_time(head: bytes) -> None:
    cutter = Cutter(max_frame_bytes=65_536, max_record_lines=500)
    for piece in (b"(", b"a.", b"[", b" ", b":1", b"Error", b"\\", b"/", b"A", b"a.b)"):
        assert cutter.cut(head + b"\n" + piece * (60_000 // len(piece)) + b"\ntail\n", close=True)
