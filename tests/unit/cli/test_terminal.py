"""Rows as lines: what a terminal is shown, and what it never gets."""

from __future__ import annotations

import io
import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.cli.terminal import LineFormat, escape, escape_json, wants_colour
from logstreamd.record import LEVELS


def row(message: str = "m", level: str = "info", host: str | None = "web-1", service: str | None = "shop") -> Any:
    return {
        "ts": "2026-11-22T03:00:00.104233Z",
        "level": level,
        "host": host,
        "service": service,
        "message": message,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Ünïcödé 日本 🙂", "plain Ünïcödé 日本 🙂"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("a\ttab", r"a\ttab"),
        ("\x1b[2J", r"\e[2J"),
        ("\x00\x07\x08\x7f", r"\x00\x07\x08\x7f"),
        ("\x9b2J\x85", r"\x9b2J\x85"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u2066b\u2069\u061c\u200f", r"a\u2066b\u2069\u061c\u200f"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("tag\U000e0041", r"tag\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text())
def test_json_for_a_terminal_is_the_same_json(text: str) -> None:
    written = escape_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert escape(written) == written


def test_columns_are_as_wide_as_what_was_seen() -> None:
    lines = LineFormat(colour=False, zone=UTC)
    assert lines.line(row("first")) == "2026-11-22 03:00:00.104Z  info       web-1  shop  first"
    assert lines.line(row("second", "emergency", "database-primary", None)) == (
        "2026-11-22 03:00:00.104Z  emergency  database-primary  -     second"
    )
    assert lines.line(row("third", host=None)) == ("2026-11-22 03:00:00.104Z  info       -                 shop  third")


def test_a_name_that_is_very_long_is_shown_and_widens_no_column_for_ever() -> None:
    lines = LineFormat(colour=False, zone=UTC)
    assert "h" * 300 in lines.line(row(host="h" * 300))
    assert len(lines.line(row(host="h"))) < 100


def test_names_and_levels_are_as_hostile_as_messages() -> None:
    line = LineFormat(colour=False, zone=UTC).line(row("\x1b", "\x1b", "\x1b", "\x1b"))
    assert "\x1b" not in line
    assert line.count(r"\e") == 4


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_has_a_colour_of_its_own_that_ends(level: str) -> None:
    line = LineFormat(colour=True, zone=UTC).line(row(level=level))
    assert f"m{level}" in line
    assert line.count("\x1b[0m") == 3


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "stream", "environment", "wanted"),
    [
        ("auto", Terminal(), {}, True),
        ("auto", Terminal(), {"NO_COLOR": "1"}, False),
        ("auto", Terminal(), {"NO_COLOR": ""}, True),
        ("auto", Terminal(), {"TERM": "dumb"}, False),
        ("auto", io.StringIO(), {}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
        ("never", Terminal(), {}, False),
    ],
)
def test_when_to_colour(
    monkeypatch: pytest.MonkeyPatch, choice: Any, stream: io.StringIO, environment: dict[str, str], wanted: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(choice, stream) is wanted
