"""A character of a YAML text → the line and column where it was written.

A value is found again in the file by its characters that are no blanks: those stand there one after the other in every
style, however lines are folded and blocks are indented; only what is escaped in quotes is written longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["find_written"]

# YAML 1.2.2 section 5.7 lists the escapes; an escaped line break joins two lines.
_IN_DOUBLE_QUOTES = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8})|\r\n|.)|.", re.DOTALL)
_IN_SINGLE_QUOTES = re.compile(r"''|.", re.DOTALL)
_BARE = re.compile(r".", re.DOTALL)
_BLANK_ESCAPES = frozenset("\\" + one for one in "ntrvf \tN_LP\n\r\x85\u2028\u2029") | {"\\\r\n"}
# PyYAML counts lines by these.
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


def find_written(source: str, line: int, column: int, value: str, offset: int) -> tuple[int, int]:
    """Return where a character of a value was written.

    Args:
        source: the whole file.
        line: where the value begins, counted from 1.
        column: the same.
        value: the value, as it was read.
        offset: which character of it, counted from 0; behind the last one is right behind what was written last.

    Returns:
        Line and column, counted from 1.
    """
    starts = [0, *(found.end() for found in _LINE_BREAK.finditer(source))]
    start = starts[line - 1] + column - 1
    before = sum(not character.isspace() for character in value[:offset])
    at_character = offset < len(value) and not value[offset].isspace()
    found = start
    for count, (begin, end) in enumerate(_characters(source, start)):
        if count == before and at_character:
            found = begin
            break
        if count >= before:
            break
        found = end
    number = sum(one <= found for one in starts)
    return number, found - starts[number - 1] + 1


def _characters(source: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield where each character that is no blank is written, from the begin of a value on."""
    match source[start : start + 1]:
        case '"':
            pattern, start = _IN_DOUBLE_QUOTES, start + 1
        case "'":
            pattern, start = _IN_SINGLE_QUOTES, start + 1
        case "|" | ">":
            header = _LINE_BREAK.search(source, start)
            pattern, start = _BARE, header.end() if header else len(source)
        case _:
            pattern = _BARE
    for found in pattern.finditer(source, start):
        if not _is_blank(found):
            yield found.span()


def _is_blank(found: re.Match[str]) -> bool:
    if found.re is _IN_DOUBLE_QUOTES and (code := found[1] or found[2] or found[3]):
        return chr(int(code, 16)).isspace()
    return found[0].isspace() or (found.re is _IN_DOUBLE_QUOTES and found[0] in _BLANK_ESCAPES)
