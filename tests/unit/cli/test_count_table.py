from __future__ import annotations

import json
from typing import Any

import pytest

from logstreamd.cli.count_table import print_counts

ANSWER: dict[str, Any] = {
    "series": [
        {"labels": {"service": "shop", "level": "error"}, "total": 1_200, "points": []},
        {"labels": {"service": None, "level": "\x1b[2Jinfo"}, "total": 700, "points": []},
    ],
    "other": {"series": 12, "total": 100, "points": []},
}


def test_a_table_has_every_series_the_rest_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_counts(ANSWER, as_json=False) == 2_000
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for row in (
        ["service", "level", "rows", "part"],
        ["shop", "error", "1,200", "60.0%"],
        ["-", r"\e[2Jinfo", "700", "35.0%"],
        ["12", "others", "100", "5.0%"],
        ["all", "2,000"],
    ):
        assert row in rows


def test_json_has_a_line_for_each_series(capsys: pytest.CaptureFixture[str]) -> None:
    print_counts(ANSWER, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {"labels": {"service": "shop", "level": "error"}, "total": 1_200}
    assert lines[-1] == {"labels": None, "total": 100, "series": 12}


def test_nothing_to_count_is_nothing_to_print(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_counts({"series": [], "other": None}, as_json=False) == 0
    assert capsys.readouterr().out == ""


def test_a_name_wider_than_any_terminal_is_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_counts({"series": [{"labels": {"host": "h" * 300}, "total": 1}]}, as_json=False)
    assert "h" * 300 in capsys.readouterr().out
