from __future__ import annotations

import re
import sys

import pytest

from logstreamd.query.filter.charset import ALL, TOKEN_CHARS, any_case, complement, contains, of_chars, union, written
from logstreamd.wire.tokens import fold, is_token_char


def test_ranges_that_touch_are_one() -> None:
    assert union([(5, 9), (1, 2), (3, 3), (6, 7), (20, 30)]) == ((1, 3), (5, 9), (20, 30))


@pytest.mark.parametrize("ranges", [(), ALL, of_chars("a"), of_chars("\x01\U0010ffff"), TOKEN_CHARS])
def test_the_complement_of_the_complement_is_the_set(ranges: tuple[tuple[int, int], ...]) -> None:
    assert complement(complement(ranges)) == ranges


def test_the_set_of_token_characters_is_the_definition_of_tokens() -> None:
    for code in range(0x20000):
        assert contains(TOKEN_CHARS, chr(code)) == is_token_char(chr(code))


def test_every_character_is_among_the_cases_of_what_it_folds_to() -> None:
    cased = [char for char in map(chr, range(sys.maxunicode + 1)) if char.lower() != char]
    assert [char for char in cased if not contains(any_case(of_chars(fold(char))), char)] == []


@pytest.mark.parametrize("char", list("aK_ -]^\\.$*+?{}()|/\"'#&~\n\té日😀"))
def test_a_set_is_written_so_that_python_reads_the_same_set(char: str) -> None:
    single, several = of_chars(char), of_chars(char + "xyz")
    for ranges in (single, several, complement(single), complement(several), any_case(several)):
        pattern = re.compile(written(ranges), re.DOTALL)
        assert [
            c for c in "xXaKk_ -]^\\.$*+?{}()|/\"'#&~\n\té日😀" if bool(pattern.fullmatch(c)) != contains(ranges, c)
        ] == []
