"""Whatever stands in a file of rules, it is read or refused with its place; and what was read can't fail later."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.alerts.condition import (
    Absent,
    Comparison,
    Count,
    DistinctValues,
    Rate,
    Ratio,
    Spike,
)
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.mistake import MistakeError
from logstreamd.alerts.rule_file import load_rules
from logstreamd.alerts.template import FILLED_MAX_CHARS, read_template
from logstreamd.config import ConfigError
from logstreamd.query.filter import parse_filter

FILE: dict[str, Any] = {
    "groups": [
        {
            "name": "web",
            "interval": "30s",
            "limit": 5,
            "labels": {"team": "web"},
            "rules": [
                {
                    "alert": "A",
                    "query": "level>=error",
                    "by": ["service", "attrs.user_id"],
                    "condition": "ratio(timeout) > 5% and count >= 20",
                    "over": "5m",
                    "for": "1m",
                    "keep_firing_for": "1m",
                    "labels": {"severity": "page"},
                    "annotations": {"summary": "{{ $labels.service }}: {{ $value | humanize }}"},
                    "samples": 3,
                    "notify": ["ops"],
                }
            ],
        }
    ]
}
WORDS = [
    "count", "rate", "ratio", "absent", "spike", "(", ")", ">", ">=", "=", "5", "0.5", "%", "/s", "and", ",",
    "side=both", "level:error", '"', " ",
]  # fmt: skip
PIECES = [
    "{{", "}}", "$labels.a", "$value", "|", "humanize", "printf", '"%.2f"', '"%s"', '"', "title", "default", " ", "x",
    "\\", "`", "%",
]  # fmt: skip
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["{{", "5m", "a:("]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NUMBERS = st.one_of(st.integers(0, 10**9), st.decimals(0, 1000, places=6).map(float))
COMPARISONS = st.builds(Comparison, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), NUMBERS)
SHARES = st.builds(Comparison, st.just(">"), st.decimals(0, 1, places=9).map(float))
FILTERS = st.sampled_from(["level>=error", "(a OR b) -c", 'service:"x)y"', "/a\\)b/"]).map(parse_filter)
KEYS = st.sampled_from(["host", "service", "attrs.a-b", 'attrs."x y".z', "tag.env"]).map(read_group_key)
CONDITIONS = st.one_of(
    st.builds(Count, COMPARISONS),
    st.builds(Rate, COMPARISONS, st.sampled_from(["s", "m", "h"])),
    st.builds(Ratio, FILTERS, SHARES, st.integers(1, 1000)),
    st.builds(DistinctValues, KEYS, COMPARISONS),
    st.builds(Absent, st.integers(10, 31 * 86_400).map(lambda seconds: timedelta(seconds=seconds))),
    st.builds(
        Spike, st.decimals("0.5", 100, places=3).map(float), st.integers(4, 288), st.integers(1, 10**9),
        st.sampled_from(["above", "below", "both"]),
    ),
)  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in paths(one, (*path, key)))]


@given(path=st.sampled_from(paths(FILE)), value=ANYTHING)
def test_any_value_anywhere_is_read_or_refused_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[Any, ...], value: object
) -> None:
    changed: Any = {"file": copy.deepcopy(FILE)}
    target = changed
    for key in ("file", *path)[:-1]:
        target = target[key]
    target[("file", *path)[-1]] = value
    file: Path = tmp_path_factory.getbasetemp() / "rules.yaml"
    file.write_text(json.dumps(changed["file"]))
    try:
        load_rules([file], notifiers=["ops"])
    except ConfigError as error:
        assert error.problems
        assert all(problem.file == str(file) for problem in error.problems)
        assert all(problem.line and problem.column for problem in error.problems if problem.path)


@given(
    text=st.one_of(
        st.text(), st.lists(st.sampled_from(WORDS)).map("".join), st.lists(st.sampled_from(WORDS)).map(" ".join)
    )
)
def test_any_text_is_a_condition_or_a_mistake_in_it(text: str) -> None:
    try:
        condition = read_condition(text)
    except MistakeError as mistake:
        assert 0 <= mistake.offset <= len(text)
    else:
        assert read_condition(str(condition)) == condition


@given(condition=CONDITIONS)
def test_a_condition_that_is_written_is_read_as_the_same(condition: Any) -> None:
    assert read_condition(str(condition)) == condition


@given(
    text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)),
    label=st.text(max_size=300),
    value=st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_template_is_refused_or_can_be_filled_in_whatever_the_values(text: str, label: str, value: float) -> None:
    try:
        template = read_template(text, ["a"])
    except MistakeError as mistake:
        assert 0 <= mistake.offset <= len(text)
    else:
        assert len(template.fill({"a": label}, value)) <= FILLED_MAX_CHARS
