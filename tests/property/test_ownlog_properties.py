"""Whatever a value is, a line of the log stays one line of characters that have a glyph."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from log_lines import log_lines

from logstreamd.ownlog.repeats import MAX_KINDS, RepeatLimiter

NASTY = st.sampled_from([*map(chr, (*range(0x20), *range(0x7F, 0xA1))), *"\u061c\u200b\u200e\u2028\u2029\ufeff\ud800"])
BIDI = st.sampled_from([*map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xE0041))])
TEXTS = st.text(st.one_of(st.characters(), NASTY, BIDI), max_size=40)


class Odd:
    """Says what it likes about itself."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


LEAVES = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=20), st.builds(Odd, TEXTS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4), st.tuples(inner, inner)
    ),
    max_leaves=8,
)
RESERVED = {"event", "level", "timestamp", "exception", "exc_info", "stack", "stack_info", "logger", "suppressed"}
KNOWN = st.sampled_from(["peer", "input", "rule", "route", "path", "problem"])  # looked at when lines are told apart
FIELDS = st.dictionaries(KNOWN | TEXTS.filter(lambda name: name not in RESERVED), VALUES, max_size=4)


def written(log_format: str, event: str, fields: dict[str, Any], problem: BaseException | None) -> str:
    with log_lines(log_format) as log:
        structlog.get_logger().warning(event, exc_info=problem, **fields)
        return log.text


@settings(max_examples=150, deadline=None)
@given(event=TEXTS, fields=FIELDS, message=st.none() | TEXTS)
def test_json_is_one_printable_line_that_reads_back(event: str, fields: dict[str, Any], message: str | None) -> None:
    text = written("json", event, fields, None if message is None else ValueError(message))
    assert text.endswith("\n")
    assert text[:-1].isprintable(), ascii(text)
    assert text.isascii()
    entry = json.loads(text, parse_constant=pytest.fail)
    assert entry["level"] == "warning"
    for shown in texts_in(entry):
        assert shown.isprintable(), ascii(shown)  # so that `jq -r` is safe as well


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from texts_in(one)


@settings(max_examples=150, deadline=None)
@given(event=TEXTS, fields=FIELDS, message=st.none() | TEXTS)
def test_the_console_has_one_printable_line_and_indented_ones_of_a_traceback(
    event: str, fields: dict[str, Any], message: str | None
) -> None:
    text = written("console", event, fields, None if message is None else ValueError(message))
    first, *others = text.removesuffix("\n").split("\n")
    assert first.isprintable(), ascii(first)
    assert len(others) == (message is not None)
    assert all(line.startswith("  ") and line.isprintable() for line in others), ascii(text)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["refused", "failed"]),
            st.sampled_from(["warning", "error", "info", "critical"]),
            st.dictionaries(st.sampled_from(["peer", "input", "problem", "rows"]), TEXTS | st.integers(), max_size=3),
            st.floats(0, 200),
        ),
        max_size=60,
    )
)
def test_every_line_is_written_or_told_of_by_a_later_one(
    lines: list[tuple[str, str, dict[str, Any], float]],
) -> None:
    now = [0.0]
    limiter = RepeatLimiter(lambda: now[0])
    left_out = told = 0
    for event, level, fields, pause in lines:
        now[0] += pause
        said = limiter.try_admit({"event": event, "level": level, **fields})
        left_out += said is None
        told += said or 0
    now[0] += 60.0
    told += sum(line["suppressed"] for line in limiter.overdue())
    assert told == left_out
    assert len(limiter) <= MAX_KINDS
