from __future__ import annotations

import pytest

from logstreamd.wire.attribute_text import attribute_texts, number_of, scalar_text
from logstreamd.wire.tokens import MAX_TOKEN_CHARS, SEPARATORS, fold, is_token_char, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("GET /api/v1 200", ["get", "api", "v1", "200"]),
        ("user-42 at 10.0.0.1:", ["user", "42", "at", "10", "0", "0", "1"]),
        ("snake_case don't", ["snake_case", "don", "t"]),
        ("„Größe“ … naïve—Привет", ["größe", "naïve", "привет"]),
        ("東京、大阪。ｗｅｂ", ["東京", "大阪", "ｗｅｂ"]),
        ("हिन्दी नमस्ते।", ["हिन्दी", "नमस्ते"]),
        ("ok😀ok\u00a0ok\u200bok", ["ok", "ok", "ok", "ok"]),
        ("a a", ["a", "a"]),
    ],
)
def test_tokens_are_the_words_of_any_script(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_a_long_token_counts_by_its_beginning() -> None:
    assert tokens("x" * (MAX_TOKEN_CHARS + 1)) == tokens("x" * MAX_TOKEN_CHARS) == ["x" * MAX_TOKEN_CHARS]


@pytest.mark.parametrize(
    ("text", "folded"),
    [("ÄÖ", "äö"), ("ΟΔΟΣ", "οδοσ"), ("İ", "i"), ("ẞ", "ß"), ("\u212a", "k"), ("ǅ", "ǆ"), ("ς", "ς"), ("𐐀", "𐐨")],
)
def test_folding_is_by_character(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_every_character_folds_to_one_of_its_kind() -> None:
    for code in range(0x20000):
        char = chr(code)
        assert len(fold(char)) == 1
        assert is_token_char(char) == is_token_char(fold(char))


def test_ascii_needs_no_table() -> None:
    for code in range(0x80):
        assert is_token_char(chr(code)) == (chr(code).isalnum() or chr(code) == "_")


def test_the_separators_are_in_order_and_apart() -> None:
    edges = [edge for pair in SEPARATORS for edge in pair]
    assert edges == sorted(edges)
    assert len(set(SEPARATORS)) == len(SEPARATORS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (None, None),
        ({}, None),
        ([], None),
        (42, "42"),
        (42.0, "42.0"),
        (-0.0, "0.0"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (10**30, "1" + "0" * 30),
    ],
)
def test_the_text_of_a_json_value_is_the_one_postgresql_shows(value: object, text: str | None) -> None:
    assert scalar_text(value) == text


def test_a_boolean_is_no_number() -> None:
    assert number_of(True) is None


def test_the_texts_of_a_document_are_those_of_its_values_at_any_depth() -> None:
    attrs = {"a": ["x", {"b": 1, "c": [None, True]}], "d": {}}
    assert sorted(attribute_texts(attrs)) == ["1", "true", "x"]
    assert list(attribute_texts(None)) == []
