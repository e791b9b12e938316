"""The text of a filter → its tree.

::

    filter  = [ any ]
    any     = all { "OR" all }
    all     = one { [ "AND" ] one }
    one     = ( "-" | "NOT" ) one | "(" any ")" | search | field
    search  = word [ "*" ] | quoted [ "*" ] | regex
    field   = name ( ":" | "=" | "!=" | ">" | ">=" | "<" | "<=" ) values
    values  = value { "," value } | "(" value { "OR" value } ")"
    value   = ( bare | quoted ) [ "*" ] | "*" | regex
    regex   = "/" … "/" [ "i" ]

Keywords are in capitals. Whatever the text is, it is parsed or refused with :class:`FilterError`.
"""

from __future__ import annotations

import re

from logstreamd.query.filter.errors import FilterError, shown
from logstreamd.query.filter.fields import FIELD
from logstreamd.query.filter.scan import Kind, Scanner, Value
from logstreamd.query.filter.terms import TermOf, checked_regex, term_builder
from logstreamd.query.filter.tree import EVERYTHING, And, Filter, Not, Or, Phrase, Prefix

__all__ = ["MAX_DEPTH", "MAX_FILTER_CHARS", "MAX_TERMS", "parse_filter"]

MAX_FILTER_CHARS = 4_096
"""A filter travels in the query string; most servers and proxies take 8 KiB of it, quoted."""
MAX_TERMS = 64
"""Each term is looked for in every row that is read."""
MAX_DEPTH = 32
"""Parentheses and negations within each other; a tree is walked recursively."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Args:
        text: the filter; blank text takes everything.

    Raises:
        FilterError: it can't be read; the error says at which column, what was expected there and what was found.
    """
    if len(text) > MAX_FILTER_CHARS:
        raise FilterError(MAX_FILTER_CHARS + 1, f"at most {MAX_FILTER_CHARS} characters", str(len(text)))
    if unstorable := _UNSTORABLE.search(text):
        raise FilterError(unstorable.start() + 1, "a character that can be stored", shown(unstorable[0]))
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self._scan = Scanner(text)
        self._terms = 0

    def parse(self) -> Filter:
        self._scan.skip_blanks()
        if not self._scan.next:
            return EVERYTHING
        tree = self._any(depth=0)
        if self._scan.next:
            raise self._scan.error("no ')' without '('")
        return tree

    def _any(self, depth: int) -> Filter:
        terms = [self._all(depth)]
        while self._scan.take_keyword("OR"):
            terms.append(self._all(depth))
        return _either(terms)

    def _all(self, depth: int) -> Filter:
        terms = [self._one(depth)]
        while self._scan.take_keyword("AND") or not (self._scan.next in ("", ")") or self._scan.at_keyword("OR")):
            terms.append(self._one(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _one(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise self._scan.error(f"at most {MAX_DEPTH} parentheses and negations within each other")
        if self._scan.take_keyword("NOT"):
            return Not(self._one(depth + 1))
        if self._scan.next == "-":
            self._scan.skip(1)
            return Not(self._one(depth + 1))
        if self._scan.next == "(":
            return self._group(depth)
        field = self._scan.match(FIELD)
        term = self._search() if field is None else self._field(field[1], field[2])
        self._scan.end_term("this term")
        return term

    def _group(self, depth: int) -> Filter:
        self._scan.skip(1)
        self._scan.skip_blanks()
        tree = self._any(depth + 1)
        if self._scan.next != ")":
            raise self._scan.error("')'")
        self._scan.skip(1)
        self._scan.end_term("')'")
        return tree

    def _search(self) -> Filter:
        self._count_term()
        bare = self._scan.next != '"'
        value = self._scan.word()
        match value:
            case Value(Kind.REGEX | Kind.REGEX_ANY_CASE):
                return checked_regex(value, None)
            case Value(_, "") if bare:
                raise FilterError(value.column, "a word in front of '*' (a filter of nothing takes everything)", "'*'")
            case Value(_, ""):
                raise FilterError(value.column, "text between the quotes", "'\"\"'")
            case Value(Kind.PREFIX, text):
                return Prefix(text)
        return Phrase(value.text)

    def _field(self, name: str, operator: str) -> Filter:
        term_of = term_builder(name, "=" if operator == "!=" else operator, self._scan.column)
        self._scan.skip(len(name) + len(operator))
        what = f"a value after '{name}{operator}'"
        term = self._list(term_of, what) if self._scan.next == "(" else self._values(term_of, what)
        return Not(term) if operator == "!=" else term

    def _values(self, term_of: TermOf, what: str) -> Filter:
        terms = [self._value(term_of, what)]
        while self._scan.next == ",":
            self._scan.skip(1)
            terms.append(self._value(term_of, "a value after ','"))
        return _either(terms)

    def _list(self, term_of: TermOf, what: str) -> Filter:
        self._scan.skip(1)
        self._scan.skip_blanks()
        terms = [self._value(term_of, what)]
        self._scan.skip_blanks()
        while self._scan.take_keyword("OR"):
            terms.append(self._value(term_of, "a value after OR"))
            self._scan.skip_blanks()
        if self._scan.next != ")":
            raise self._scan.error("OR or ')' behind this value")
        self._scan.skip(1)
        return _either(terms)

    def _value(self, term_of: TermOf, what: str) -> Filter:
        self._count_term()
        return term_of(self._scan.value(what))

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._scan.error(f"at most {MAX_TERMS} terms")


def _either(terms: list[Filter]) -> Filter:
    return terms[0] if len(terms) == 1 else Or(tuple(terms))
