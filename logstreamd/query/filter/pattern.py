"""Trees of a regex → patterns in PostgreSQL's own dialect (ARE), for ``text COLLATE "C" ~ pattern``.

What a pattern matches does not depend on the server's version or locale: characters are given as code points, upper and
lower case as alternatives, edges of words by the project's own table.
"""

from __future__ import annotations

from logstreamd.query.filter.charset import TOKEN_CHARS, any_case, complement, of_chars, written
from logstreamd.query.filter.regex_tree import Alternatives, Boundary, Chars, RegexNode, Repeat, Sequence
from logstreamd.wire.tokens import is_token_char

__all__ = ["literal_pattern", "regex_pattern"]

_TOKEN = written(TOKEN_CHARS)
_SEPARATOR = written(complement(TOKEN_CHARS))
_BOUNDARIES = {
    Boundary.START: "^",
    Boundary.END: "$",
    Boundary.EDGE: f"(?:(?<={_TOKEN})(?!{_TOKEN})|(?<!{_TOKEN})(?={_TOKEN}))",
    Boundary.NOT_EDGE: f"(?:(?<={_TOKEN})(?={_TOKEN})|(?<!{_TOKEN})(?!{_TOKEN}))",
}


def regex_pattern(tree: RegexNode) -> str:
    """Write the tree of a regex as PostgreSQL reads it."""
    match tree:
        case Boundary():
            return _BOUNDARIES[tree]
        case Chars(ranges):
            return written(ranges)
        case Sequence(items):
            return f"(?:{''.join(map(regex_pattern, items))})"
        case Alternatives(branches):
            return f"(?:{'|'.join(map(regex_pattern, branches))})"
        case Repeat(item, low, high):
            return f"(?:{regex_pattern(item)}){_braces(low, high)}"


def _braces(low: int, high: int | None) -> str:
    match low, high:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case _, None:
            return f"{{{low},}}"
    return f"{{{low},{high}}}"


def literal_pattern(text: str, *, whole_start: bool, whole_end: bool) -> str:
    """Write a text, in any case, as a pattern.

    Args:
        text: what to find; may be empty.
        whole_start: no token may go on in front of it.
        whole_end: no token may go on behind it.
    """
    inner = "".join(written(any_case(of_chars(char))) for char in text)
    # Plain alternatives: PostgreSQL matches them by its automaton alone, look-around takes a second one.
    start = f"(?:^|{_SEPARATOR})" if whole_start and is_token_char(text[:1]) else ""
    end = f"(?:{_SEPARATOR}|$)" if whole_end and is_token_char(text[-1:]) else ""
    return start + inner + end
