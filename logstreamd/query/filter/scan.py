"""The text of a filter, read piece by piece: blanks, keywords, words, quoted texts and regexes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from logstreamd.query.filter.errors import FilterError, shown
from logstreamd.query.filter.fields import unquoted
from logstreamd.query.filter.written import KEYWORDS

__all__ = ["Kind", "Scanner", "Value"]

_BLANK = re.compile(r"\s*")
_WORD = re.compile(r'[^\s()"]+')
_BARE_VALUE = re.compile(r'[^\s()",]+')
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_REGEX = re.compile(r"/((?:\\.|[^\\/])*)/(i?)", re.DOTALL)
_OPERATORS_OF_OTHERS = {"|": "OR", "||": "OR", "&": "AND", "&&": "AND"}


class Kind(Enum):
    """How a value is written."""

    TEXT = "text"
    PREFIX = "text*"
    REGEX = "/regex/"
    REGEX_ANY_CASE = "/regex/i"


@dataclass(frozen=True, slots=True)
class Value:
    """A word, or what stands behind an operator, and where it begins."""

    kind: Kind
    text: str
    column: int

    @property
    def shown(self) -> str:
        """The value for a message."""
        return shown(f"{self.text}*" if self.kind is Kind.PREFIX else self.text or '""')


class Scanner:
    """A place in a text that moves on.

    Args:
        text: the filter.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0

    @property
    def column(self) -> int:
        """Where the place is, counted from 1."""
        return self._offset + 1

    @property
    def next(self) -> str:
        """The character here; empty at the end."""
        return self._text[self._offset : self._offset + 1]

    def error(self, expected: str) -> FilterError:
        """Return the error that something else stands here."""
        word = _WORD.match(self._text, self._offset)
        return FilterError(self.column, expected, shown(word[0] if word else self.next))

    def skip(self, count: int) -> None:
        """Move on."""
        self._offset += count

    def skip_blanks(self) -> None:
        """Move on to what is no blank."""
        if blank := _BLANK.match(self._text, self._offset):
            self._offset = blank.end()

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match a pattern here, and stay."""
        return pattern.match(self._text, self._offset)

    def at_keyword(self, *keywords: str) -> bool:
        """Tell whether one of these words is here, as a whole."""
        word = self.match(_WORD)
        return word is not None and word[0] in keywords

    def take_keyword(self, keyword: str) -> bool:
        """Move on behind a keyword, if it is here."""
        found = self.at_keyword(keyword)
        if found:
            self.skip(len(keyword))
            self.skip_blanks()
        return found

    def end_term(self, what: str) -> None:
        """Move on to the next term.

        Raises:
            FilterError: it follows without a blank.
        """
        if self.next not in ("", ")") and not self.next.isspace():
            raise self.error(f"a blank behind {what}")
        self.skip_blanks()

    def word(self) -> Value:
        """Take a bare or quoted word, or a regex, that is looked for as it is."""
        if self.next in ('"', "/"):
            return self._delimited()
        word = self.match(_WORD)
        if word is None or word[0] in KEYWORDS:
            raise self.error("a term")
        if word[0] in _OPERATORS_OF_OTHERS:
            raise self.error(_OPERATORS_OF_OTHERS[word[0]])
        return self._starred(word[0])

    def value(self, what: str) -> Value:
        """Take the value of a field; ``what`` names it for the error that there is none."""
        if self.next in ('"', "/"):
            return self._delimited()
        bare = self.match(_BARE_VALUE)
        if bare is None or bare[0][0] in "<>=":
            raise self.error(what)
        return self._starred(bare[0])

    def _starred(self, bare: str) -> Value:
        """Take a bare word that may have a star at its end."""
        star = bare.find("*")
        if 0 <= star < len(bare) - 1:
            raise FilterError(self.column + star, "'*' at the end only (else write a /regex/)", shown(bare))
        value = Value(Kind.TEXT if star < 0 else Kind.PREFIX, bare.rstrip("*"), self.column)
        self.skip(len(bare))
        return value

    def _delimited(self) -> Value:
        return self._quoted() if self.next == '"' else self._regex()

    def _quoted(self) -> Value:
        quoted = self.match(_QUOTED)
        if quoted is None:
            raise FilterError(self.column, "'\"' somewhere behind this one", "end")
        starred = self._text.startswith("*", quoted.end())
        value = Value(Kind.PREFIX if starred else Kind.TEXT, unquoted(quoted[1]), self.column)
        self._offset = quoted.end() + starred
        return value

    def _regex(self) -> Value:
        regex = self.match(_REGEX)
        if regex is None:
            raise FilterError(self.column, "'/' somewhere behind this one (a path goes in quotes)", "end")
        value = Value(Kind.REGEX_ANY_CASE if regex[2] else Kind.REGEX, regex[1], self.column)
        self._offset = regex.end()
        if self.next not in ("", ")", ",") and not self.next.isspace():
            raise self.error("a blank behind the regex (a path goes in quotes)")
        return value
