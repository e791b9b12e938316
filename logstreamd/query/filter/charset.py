"""Sets of characters as ranges of code points: what a pattern takes at one position.

A set is written as one bracket expression that PostgreSQL and Python read alike, whatever the database's locale: code
points only, no classes, no case folding.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

from logstreamd.wire.tokens import SEPARATORS, fold

__all__ = ["ALL", "TOKEN_CHARS", "Ranges", "any_case", "complement", "contains", "of_chars", "union", "written"]

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Ascending, neither overlapping nor adjoining, both ends included."""

_LAST = 0x10FFFF
_LAST_UPPER = 0x1E921  # the last character with another lower case, of the script Adlam

ALL: Ranges = ((0, _LAST),)


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the set of all that is in any of the ranges."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def of_chars(chars: str) -> Ranges:
    """Return the set of these characters."""
    return union((ord(char), ord(char)) for char in chars)


def complement(ranges: Ranges) -> Ranges:
    """Return the set of all other characters."""
    edges = [-1, *(edge for pair in ranges for edge in pair), _LAST + 1]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if before + 1 < after)


def contains(ranges: Ranges, char: str) -> bool:
    """Tell whether a character is in the set."""
    code = ord(char)
    position = bisect_right(ranges, (code, _LAST)) - 1
    return position >= 0 and code <= ranges[position][1]


TOKEN_CHARS: Ranges = complement(union(SEPARATORS))


@cache
def _upper_of() -> dict[str, str]:
    """Return for each character the others that fold to it. It takes 15 ms, so only who asks for it pays."""
    others: dict[str, str] = {}
    for char in map(chr, range(_LAST_UPPER + 1)):
        if char.lower() != char:
            others[fold(char)] = others.get(fold(char), "") + char
    return others


def any_case(ranges: Ranges) -> Ranges:
    """Return the set with every character that folds as one of the set does."""
    upper = _upper_of()
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        lower = fold(chr(ranges[0][0]))
        return of_chars(lower + upper.get(lower, ""))
    found = list(ranges)
    for lower, others in upper.items():
        if any(contains(ranges, char) for char in lower + others):
            found.extend(of_chars(lower + others))
    return union(found)


def written(ranges: Ranges) -> str:
    """Write the set as a pattern for one character."""
    if ranges == ALL:
        return "."  # PostgreSQL's dot takes line ends too, unless told otherwise
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _char(ranges[0][0])
    negated = ranges[-1][1] == _LAST
    return f"[{'^' if negated else ''}{''.join(map(_range, complement(ranges) if negated else ranges))}]"


def _range(ends: tuple[int, int]) -> str:
    first, last = ends
    return _char(first) if first == last else f"{_char(first)}-{_char(last)}"


def _char(code: int) -> str:
    char = chr(code)
    if char.isascii() and (char.isalnum() or char in " _"):
        return char
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
