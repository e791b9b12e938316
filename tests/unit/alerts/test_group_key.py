"""What lines are grouped by, and the filter of one group's lines."""

from __future__ import annotations

from typing import Any

import pytest

from logstreamd.alerts.group_key import GROUP_VALUE_MAX_CHARS, read_group_key
from logstreamd.query.filter import matches

ROW: dict[str, Any] = {
    "severity": 3,
    "facility": 1,
    "service": "shop",
    "host": None,
    "attrs": {
        "user-id": 42,
        "http": {"status": "500"},
        "ok": True,
        "tags": {"env": "prod"},
        "zones": ["a", "b"],
        "1": 2,
    },
}


@pytest.mark.parametrize(
    ("key", "label", "value"),
    [
        ("service", "service", "shop"),
        ("host", "host", ""),
        ("level", "level", "error"),
        ("attrs.user-id", "user_id", "42"),
        ("attrs.http.status", "http_status", "500"),
        ('attrs."ok"', "ok", "true"),
        ("tag.env", "env", "prod"),
        ("attrs.tags.env", "tags_env", "prod"),
        ("attrs.1", "_1", "2"),
        ("attrs.__name__", "name__", ""),
        ("attrs.__", "_", ""),
        ("attrs.http", "http", ""),
        ("attrs.missing", "missing", ""),
    ],
)
def test_a_key_has_a_label_and_a_value(key: str, label: str, value: str) -> None:
    read = read_group_key(key)
    assert (read.name, read.label, read.value_in(ROW)) == (key, label, value)


@pytest.mark.parametrize("key", ["service", "host", "level", "attrs.user-id", "attrs.missing", "tag.env"])
def test_a_group_s_lines_are_found_again(key: str) -> None:
    read = read_group_key(key)
    assert matches(read.lines_with(read.value_in(ROW)), ROW)
    assert not matches(read.lines_with("debug" if key == "level" else "another"), ROW)


def test_a_long_value_is_cut_and_its_lines_are_found_again() -> None:
    row = {**ROW, "service": "s" * (GROUP_VALUE_MAX_CHARS + 1)}
    read = read_group_key("service")
    assert read.value_in(row) == "s" * GROUP_VALUE_MAX_CHARS
    assert matches(read.lines_with(read.value_in(row)), row)


def test_no_value_and_an_empty_one_are_one_group() -> None:
    lines = read_group_key("host").lines_with("")
    assert matches(lines, ROW)
    assert matches(lines, {**ROW, "host": ""})
    assert not matches(lines, {**ROW, "host": "web1"})
