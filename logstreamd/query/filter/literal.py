"""Texts and trees of regexes → a piece of ASCII that whatever they match holds, for a look cheaper than a match.

The look lower-cases ASCII alone. It must find the piece wherever the pattern matches, in the text of a JSON document,
too:

============================ ====================================================================
not in a piece               because
============================ ====================================================================
``i``, ``k``                 they are the lower case of U+0130 and U+212A, too
``"``, ``\\``, controls       JSON writes them with a backslash
all beyond ASCII             the look does not know their lower case
============================ ====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from logstreamd.query.filter.charset import any_case, of_chars
from logstreamd.query.filter.regex_tree import Boundary, Chars, RegexNode, Sequence

__all__ = ["piece_of_regex", "piece_of_text"]

_PIECE = re.compile(r'(?:(?![iIkK"\\])[ -~])+')
_MIN_CHARS = 3  # what is shorter is in most lines
_GAP = "\0"
_CASES = {any_case(of_chars(char)): char for char in map(chr, range(0x20, 0x7F)) if char == char.lower()}


def piece_of_text(text: str) -> str | None:
    """Return the longest piece of a text, in lower case; None when it is too short to be worth a look."""
    piece = max(_PIECE.findall(text), key=len, default="")
    return piece.lower() if len(piece) >= _MIN_CHARS else None


def piece_of_regex(tree: RegexNode) -> str | None:
    """Return the longest piece that is in every match; None when there is none, or none worth a look."""
    return piece_of_text("".join(_certain(tree)))


def _certain(node: RegexNode) -> Iterator[str]:
    """Yield the characters that every match has in this order, and a gap where something else may stand."""
    match node:
        case Sequence(items):
            for item in items:
                yield from _certain(item)
        case Chars(((first, last),)) if first == last:
            yield chr(first)
        case Chars(ranges):
            yield _CASES.get(ranges, _GAP)
        case Boundary():
            return
        case _:
            yield _GAP
