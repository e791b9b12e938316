from __future__ import annotations

import pytest
from filter_strategies import REGEXES, TEXTS
from hypothesis import given

from logstreamd.query.filter.compiled import compile_regex
from logstreamd.query.filter.literal import piece_of_regex, piece_of_text
from logstreamd.query.filter.regex_tree import parse_regex


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("Timeout", "meout"),
        ("user-42, no", "user-42, no"),
        ("größe", None),
        ("kiki", None),
        ('say "hello there"', "hello there"),
        ("ab", None),
        ("", None),
    ],
)
def test_the_longest_piece_of_plain_ascii_is_taken(text: str, piece: str | None) -> None:
    assert piece_of_text(text) == piece


@pytest.mark.parametrize(
    ("source", "ignore_case", "piece"),
    [
        (r"status=5\d\d", False, "status=5"),
        ("STATUS", False, "status"),
        ("out of mem", True, "out of mem"),
        (r"\bpanic: (go|no)routine", False, "rout"),
        ("(?:abc)def", False, "abcdef"),
        ("(abc)?def+", False, None),
        ("abc|def", False, None),
        ("(abc)+", False, None),
        ("^abc$", False, "abc"),
        (".*", False, None),
    ],
)
def test_a_regex_has_what_every_match_has(source: str, ignore_case: bool, piece: str | None) -> None:
    assert piece_of_regex(parse_regex(source, ignore_case=ignore_case)) == piece


def _ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


@given(REGEXES, TEXTS)
def test_whatever_a_regex_matches_holds_its_piece(regex: tuple[str, bool], text: str) -> None:
    source, ignore_case = regex
    piece = piece_of_regex(parse_regex(source, ignore_case=ignore_case))
    automaton = compile_regex(source, ignore_case=ignore_case)
    assert automaton is not None
    if piece is not None and automaton.search(text):
        assert piece in _ascii_lower(text)
