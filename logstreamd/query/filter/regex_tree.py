"""A user's ``/regex/`` → a tree: the part of regular expressions that can be matched in linear time.

============================ ==================================================================
written                      means
============================ ==================================================================
``a`` ``\\.`` ``\\/``        the character; with ``\\`` in front, any punctuation
``.``                        any character, a line end too
``[a-z_]`` ``[^0-9]``        one of these, none of these
``\\d`` ``\\s`` ``\\w``      ASCII digit, ASCII blank, token character; ``\\D \\S \\W`` the others
``\\t \\n \\r``              tab, line feed, carriage return
``^`` ``$`` ``\\b`` ``\\B``  begin and end of the whole text; edge of a token; not there
``(…)`` ``(?:…)`` ``a|b``    group (nothing is captured); one or the other
``* + ? {2} {2,} {2,5}``     repetition; a ``?`` behind it changes nothing about whether it matches
============================ ==================================================================

Back-references and look-around can't be matched in linear time; classes such as ``[[:alpha:]]``, ``\\p{…}`` and inline
options mean different things to PostgreSQL and to Python. They are refused. PostgreSQL gets the tree
written anew (:mod:`.pattern`), never the user's text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from logstreamd.query.filter.charset import ALL, TOKEN_CHARS, Ranges, any_case, complement, of_chars, union
from logstreamd.query.filter.errors import shown

__all__ = [
    "MAX_REGEX_CHARS",
    "Alternatives",
    "Boundary",
    "Chars",
    "RegexError",
    "RegexNode",
    "Repeat",
    "Sequence",
    "parse_regex",
]

MAX_REGEX_CHARS = 256
MAX_REPEAT = 255
"""PostgreSQL takes no larger number in braces (RE_DUP_MAX)."""
_MAX_DEPTH = 16  # groups within groups; more than a person writes, far less than the interpreter's stack

_CLASSES: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "s": ((0x09, 0x0D), (0x20, 0x20)),
    "w": TOKEN_CHARS,
}
_CLASSES |= {name.upper(): complement(ranges) for name, ranges in _CLASSES.items()}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r"}
_BRACES = re.compile(r"\{(\d{1,3})(?:(,)(\d{1,3})?)?\}", re.ASCII)


class Boundary(Enum):
    """A place between characters."""

    START = "^"
    END = "$"
    EDGE = "\\b"
    NOT_EDGE = "\\B"


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; without items, the empty text."""

    items: tuple[RegexNode, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of the branches."""

    branches: tuple[RegexNode, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``item`` at least ``low`` and at most ``high`` times; None has no end."""

    item: RegexNode
    low: int
    high: int | None


RegexNode: TypeAlias = Boundary | Chars | Sequence | Alternatives | Repeat


class RegexError(ValueError):
    """A regex can't be read; ``offset`` counts its characters from 0."""

    def __init__(self, offset: int, expected: str, got: str) -> None:
        super().__init__(f"{offset}: expected {expected} (got {got})")
        self.offset = offset
        self.expected = expected
        self.got = got


@lru_cache(maxsize=256)
def parse_regex(source: str, *, ignore_case: bool = False) -> RegexNode:
    """Read a regex.

    Args:
        source: what stands between the slashes.
        ignore_case: characters stand for their upper and lower case, too.

    Raises:
        RegexError: it is not in the language above, or too long or too deep.
    """
    if len(source) > MAX_REGEX_CHARS:
        raise RegexError(MAX_REGEX_CHARS, f"at most {MAX_REGEX_CHARS} characters between the slashes", str(len(source)))
    reader = _Reader(source, ignore_case)
    tree = reader.alternatives(depth=0)
    if reader.rest:
        raise RegexError(reader.offset, "no ')' without '('", shown(reader.rest[0]))
    return tree


class _Reader:
    """Recursive descent over one regex."""

    def __init__(self, source: str, ignore_case: bool) -> None:
        self._source = source
        self._ignore_case = ignore_case
        self.offset = 0

    @property
    def rest(self) -> str:
        return self._source[self.offset :]

    def _error(self, expected: str, length: int = 1) -> RegexError:
        got = self.rest[:length]
        return RegexError(self.offset, expected, shown(got) if got else "end of the regex")

    def _take(self, text: str) -> bool:
        found = self._source.startswith(text, self.offset)
        self.offset += len(text) if found else 0
        return found

    def alternatives(self, depth: int) -> RegexNode:
        branches = [self._sequence(depth)]
        while self._take("|"):
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Alternatives(tuple(branches))

    def _sequence(self, depth: int) -> RegexNode:
        items: list[RegexNode] = []
        while self.rest and self.rest[0] not in "|)":
            items.append(self._repeated(self._atom(depth)))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _repeated(self, atom: RegexNode) -> RegexNode:
        offset = self.offset
        bounds = self._bounds()
        if bounds is None:
            return atom
        if isinstance(atom, Boundary):
            raise RegexError(offset, f"no repetition of {atom.value}", shown(self._source[offset : self.offset]))
        self._take("?")
        if self.rest[:1] in ("*", "+", "?", "{"):
            raise self._error("one repetition, not two")
        return Repeat(atom, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for mark, bounds in {"*": (0, None), "+": (1, None), "?": (0, 1)}.items():
            if self._take(mark):
                return bounds
        if not self.rest.startswith("{"):
            return None
        braces = _BRACES.match(self._source, self.offset)
        if braces is None:
            raise self._error("a repetition such as {2}, {2,} or {2,5} (\\{ is the character)", 10)
        low = int(braces[1])
        high = low if not braces[2] else None if braces[3] is None else int(braces[3])
        if not low <= (MAX_REPEAT if high is None else high) <= MAX_REPEAT:
            raise self._error(f"a repetition of ascending numbers up to {MAX_REPEAT}", len(braces[0]))
        self.offset = braces.end()
        return low, high

    def _atom(self, depth: int) -> RegexNode:
        for boundary in Boundary:
            if self._take(boundary.value):
                return boundary
        char = self.rest[0]
        if char == "(":
            return self._group(depth)
        if char == "[":
            return Chars(self._bracket())
        if char == "\\":
            return self._chars(self._escape())
        if char in "*+?{":
            raise self._error("something to repeat (with \\ in front, it is the character)")
        self.offset += 1
        return Chars(ALL) if char == "." else self._chars(of_chars(char))

    def _chars(self, ranges: Ranges) -> Chars:
        return Chars(any_case(ranges) if self._ignore_case else ranges)

    def _group(self, depth: int) -> RegexNode:
        if depth == _MAX_DEPTH:
            raise self._error(f"at most {_MAX_DEPTH} groups within each other")
        start = self.offset
        self._take("(")
        if self.rest.startswith("?") and not self._take("?:"):
            raise self._error("no '(?' but '(?:': look-around and options are not part of the language", 2)
        inner = self.alternatives(depth + 1)
        if not self._take(")"):
            raise RegexError(start, "')' somewhere behind this '('", "end of the regex")
        return inner

    def _escape(self) -> Ranges:
        char = self.rest[1:2]
        if char in _CLASSES:
            ranges = _CLASSES[char]
        elif char in _CONTROLS:
            ranges = of_chars(_CONTROLS[char])
        elif char and char.isascii() and not char.isalnum():
            ranges = of_chars(char)
        else:
            raise self._error("\\d \\s \\w \\b, their opposites, \\t \\n \\r, or \\ and punctuation", 2)
        self.offset += 2
        return ranges

    def _bracket(self) -> Ranges:
        start = self.offset
        self._take("[")
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        while not found or not self.rest.startswith("]"):
            if not self.rest:
                raise RegexError(start, "']' somewhere behind this '['", "end of the regex")
            found.extend(self._bracket_item())
        self._take("]")
        ranges = any_case(union(found)) if self._ignore_case else union(found)
        if not negated:
            return ranges
        if ranges == ALL:
            raise RegexError(start, "a set that some character is in", "one without any")
        return complement(ranges)

    def _bracket_item(self) -> Ranges:
        offset = self.offset
        first = self._bracket_char()
        if not self.rest.startswith("-") or self.rest.startswith("-]"):
            return first
        self._take("-")
        last = self._bracket_char() if self.rest else ()
        ends = (*first, *last)
        if len(ends) != 2 or any(low != high for low, high in ends) or ends[0] > ends[1]:
            raise RegexError(offset, "a range such as a-z (\\- is the character)", shown(self._source[offset:][:3]))
        return ((ends[0][0], ends[1][0]),)

    def _bracket_char(self) -> Ranges:
        if self.rest.startswith("\\"):
            return self._escape()
        if self.rest[0] in "[]":
            raise self._error("\\ in front of a bracket within brackets (there are no classes such as [:alpha:])", 2)
        self.offset += 1
        return of_chars(self._source[self.offset - 1])
