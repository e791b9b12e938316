from __future__ import annotations

import pytest

from logstreamd.query.filter.automaton import Automaton, TooLargeError
from logstreamd.query.filter.regex_tree import MAX_REGEX_CHARS, MAX_REPEAT, RegexError, parse_regex


def search(source: str, text: str, *, ignore_case: bool = False) -> bool:
    return Automaton(parse_regex(source, ignore_case=ignore_case)).search(text)


@pytest.mark.parametrize(
    ("source", "found", "not_found"),
    [
        ("", ["", "a"], []),
        ("ab", ["ab", "xabx"], ["a b", "AB"]),
        ("a.c", ["abc", "a\nc", "a😀c"], ["ac"]),
        ("^ab$", ["ab"], ["ab\n", "xab", "abx"]),
        ("a|bc|", ["a", "bc", "z"], []),
        ("^(a|bc)$", ["a", "bc"], ["b", "abc"]),
        ("^(?:a|b)+$", ["a", "abba"], ["", "abc"]),
        ("^a?b*c+$", ["c", "abbcc", "bc"], ["ab", "aac"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{0,2}?b$", ["b", "aab"], ["aaab"]),
        ("^a{0}b$", ["b"], ["ab"]),
        ("[a-cx]", ["b", "x"], ["d", "-"]),
        (r"^[^a\]]$", ["b", "\n"], ["a", "]", ""]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[a-]", ["-", "a"], ["b"]),
        (r"^[\d.]+$", ["10.0"], ["1a", "٣"]),
        (r"\d\s\w", ["1 a", "1\té", "1\n_"], ["a a", "1 -", "1\u00a0a"]),
        (r"^\D\S\W$", ["ax ", "a-😀"], ["1x-"]),
        (r"\berror\b", ["error", "an error!", "„error“"], ["errors", "error_", "éerror"]),
        (r"\Brror\b", ["error"], ["rror", "errors"]),
        (r"a\.b\/c\\\t", ["a.b/c\\\t"], ["axb/c\\\t"]),
        ("((((a)*)*)*)*$", ["aaa", ""], []),
    ],
)
def test_a_regex_finds_what_it_says(source: str, found: list[str], not_found: list[str]) -> None:
    assert [text for text in found if not search(source, text)] == []
    assert [text for text in not_found if search(source, text)] == []


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("straße", "STRAẞE", True),
        ("[a-c]", "B", True),
        ("[^a]", "A", False),
        ("σ", "ς", False),
        ("k", "\u212a", True),
        (r"\W", "é", False),
    ],
)
def test_case_is_ignored_by_character_when_asked_for(source: str, text: str, found: bool) -> None:
    assert search(source, text, ignore_case=True) is found


@pytest.mark.parametrize(
    ("source", "offset", "expected"),
    [
        ("a)", 1, "no ')' without '('"),
        ("(a", 0, "')' somewhere behind this '('"),
        ("[a", 0, "']' somewhere behind this '['"),
        ("[]", 1, "\\ in front of a bracket within brackets (there are no classes such as [:alpha:])"),
        ("[[:alpha:]]", 1, "\\ in front of a bracket within brackets (there are no classes such as [:alpha:])"),
        ("[z-a]", 1, "a range such as a-z (\\- is the character)"),
        (r"[\d-z]", 1, "a range such as a-z (\\- is the character)"),
        (r"[^\d\D]", 0, "a set that some character is in"),
        ("*a", 0, "something to repeat (with \\ in front, it is the character)"),
        ("a|+", 2, "something to repeat (with \\ in front, it is the character)"),
        ("a**", 2, "one repetition, not two"),
        ("a+?+", 3, "one repetition, not two"),
        ("^*", 1, "no repetition of ^"),
        (r"(?:\b){2}", 6, "no repetition of \\b"),
        ("a{x}", 1, "a repetition such as {2}, {2,} or {2,5} (\\{ is the character)"),
        ("a{3,2}", 1, f"a repetition of ascending numbers up to {MAX_REPEAT}"),
        ("a{256}", 1, f"a repetition of ascending numbers up to {MAX_REPEAT}"),
        ("a{256,}", 1, f"a repetition of ascending numbers up to {MAX_REPEAT}"),
        ("(?=a)", 1, "no '(?' but '(?:': look-around and options are not part of the language"),
        ("(?i)a", 1, "no '(?' but '(?:': look-around and options are not part of the language"),
        (r"(a)\1", 3, "\\d \\s \\w \\b, their opposites, \\t \\n \\r, or \\ and punctuation"),
        (r"\p{L}", 0, "\\d \\s \\w \\b, their opposites, \\t \\n \\r, or \\ and punctuation"),
        ("a\\", 1, "\\d \\s \\w \\b, their opposites, \\t \\n \\r, or \\ and punctuation"),
        ("(" * 17 + ")" * 17, 16, "at most 16 groups within each other"),
        ("a" * (MAX_REGEX_CHARS + 1), MAX_REGEX_CHARS, "at most 256 characters between the slashes"),
    ],
)
def test_what_is_not_in_the_language_is_refused_where_it_stands(source: str, offset: int, expected: str) -> None:
    with pytest.raises(RegexError) as caught:
        parse_regex(source)
    assert (caught.value.offset, caught.value.expected) == (offset, expected)


@pytest.mark.parametrize("source", [".{200}.{200}", "(a{9}){99}", "((){200}){200}", "((a{0}){200}){200}"])
def test_repetitions_that_expand_to_too_much_are_refused(source: str) -> None:
    with pytest.raises(TooLargeError):
        Automaton(parse_regex(source))


@pytest.mark.parametrize("bomb", ["(a+)+b", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*b", "(a+a+)+b", "(.*)(.*)(.*)(.*)b$"])
def test_a_bomb_takes_a_step_per_character(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    successor = Automaton._successor

    def counted(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        return successor(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Automaton, "_successor", counted)
    assert not search(bomb, "a" * 50_000)
    assert steps < 100


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logstreamd.query.filter.automaton._MAX_REMEMBERED", 100)
    automaton = Automaton(parse_regex("[ab]*a[ab]{9}c"))
    text = "abbabaababbaabbbabab" * 20
    assert not automaton.search(text)
    assert automaton.search(text + "c") == (text[-10] == "a")
    assert len(automaton._states) <= 100
