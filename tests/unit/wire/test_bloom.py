"""Bloom filters outlive the program that wrote them: their bytes are pinned here."""

from __future__ import annotations

import pytest

from logstreamd.wire.bloom import (
    CELL_BYTES,
    MAX_BITS_PER_TOKEN,
    MIN_BITS_PER_TOKEN,
    bit_positions,
    bloom_bytes,
    build_bloom,
    cell_offset,
    may_contain,
    token_hash,
)

TOKENS = 4_000
STRANGERS = 20_000


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("a", 0x0723D2D20570D857),
        ("error", 0x3D0196BF23A5BCE6),
        ("checkout", 0x677660E9D4A2F76A),
        ("12345678", 0x1EA493ABD573DF0A),
        ("123456789", 0xF7127309FAF768EE),
        ("größe", 0x7826F9641ECF3D91),
        ("東京", 0x74AA555C77367623),
        ("x" * 64, 0x1C97A47C73C83778),
        ("00000000000000000000000000000abc", 0x7BBDE2AF01D65EC4),
    ],
)
def test_the_hash_of_a_token_never_changes(token: str, expected: int) -> None:
    assert token_hash(token) == expected


def test_the_bytes_of_a_filter_never_change() -> None:
    bloom = build_bloom({token_hash(token) for token in ("error", "checkout", "größe")}, 1)
    assert bloom.hex() == "2000030000000a000020400402040002400040020020001802208000000000a0"


def test_a_cell_has_one_bit_of_a_token_in_each_of_its_words() -> None:
    value = token_hash("error")
    assert [position // 32 for position in bit_positions(value)] == list(range(8))
    assert cell_offset(value, 10 * CELL_BYTES) == 2 * CELL_BYTES
    assert cell_offset((1 << 64) - 1, 10 * CELL_BYTES) == 9 * CELL_BYTES


def test_the_filter_of_nothing_is_empty_and_contains_nothing() -> None:
    assert build_bloom(set(), 100) == b""
    assert not may_contain(b"", token_hash("a"))


@pytest.mark.parametrize(
    ("rows", "bits", "false_positives"),
    [(1, MIN_BITS_PER_TOKEN, 0.012), (TOKENS, MAX_BITS_PER_TOKEN, 0.001)],
)
def test_every_token_is_found_and_few_others_are(rows: int, bits: int, false_positives: float) -> None:
    bloom = build_bloom({token_hash(f"token{number}") for number in range(TOKENS)}, rows)
    assert 0 <= len(bloom) * 8 - bits * TOKENS < 8 * CELL_BYTES
    assert all(may_contain(bloom, token_hash(f"token{number}")) for number in range(TOKENS))
    seen = sum(may_contain(bloom, token_hash(f"stranger{number}")) for number in range(STRANGERS))
    assert seen <= false_positives * STRANGERS


@pytest.mark.parametrize(
    ("tokens", "rows", "expected"), [(300, 100, 608), (100, 1_000, 256), (1_000, 10, 1_376), (0, 9, 0)]
)
def test_a_filter_takes_six_bytes_a_row_unless_that_is_too_much_or_too_little(
    tokens: int, rows: int, expected: int
) -> None:
    assert bloom_bytes(tokens, rows) == expected
