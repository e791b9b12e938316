"""The tree of a filter → a condition on the table ``logs``, for PostgreSQL 15 and newer.

The text is put together from the templates in ``conditions.sql`` and fixed names; whatever a person wrote is a bound
parameter. A term about a field that is NULL is NULL, which ``AND`` and ``OR`` treat as false; ``Not`` is ``IS NOT
TRUE``, so its answer is true there.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from logstreamd.query.filter.charset import of_chars, written
from logstreamd.query.filter.literal import piece_of_regex, piece_of_text
from logstreamd.query.filter.number import number_in
from logstreamd.query.filter.pattern import literal_pattern, regex_pattern
from logstreamd.query.filter.regex_tree import parse_regex
from logstreamd.query.filter.tree import (
    And,
    Attribute,
    Column,
    Comparison,
    Equals,
    Exists,
    FacilityIs,
    Filter,
    LevelIs,
    Not,
    Or,
    PeerWithin,
    Phrase,
    Prefix,
    Regex,
    StartsWith,
)
from logstreamd.storage.queries import load_queries

__all__ = ["to_sql"]

_CONDITIONS = {
    name: re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    for name, text in load_queries("conditions.sql", package="logstreamd.query.filter").items()
}
_HOLE = re.compile(r"<([a-z]+)>")
# Severities count from the worst: at least as bad is at most as large.
_SEVERITY_OPERATORS = {"=": "=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
# What JSON writes with a backslash; between two of these a text stands in the document as it is.
_ESCAPED_IN_JSON = re.compile(r'["\\\x00-\x1f\x7f]')


def to_sql(tree: Filter, first_parameter: int) -> tuple[str, list[Any]]:
    """Compile a filter.

    Args:
        tree: the filter.
        first_parameter: the number of its first parameter, ``n`` in ``$n``.

    Returns:
        A condition, in parentheses where it needs them, and the values of its parameters in their order.
    """
    compiler = _Compiler(first_parameter)
    return compiler.compile(tree), compiler.parameters


class _Compiler:
    """Collects the parameters of one condition."""

    def __init__(self, first_parameter: int) -> None:
        self._first_parameter = first_parameter
        self.parameters: list[Any] = []

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${self._first_parameter + len(self.parameters) - 1}"

    def compile(self, tree: Filter) -> str:
        match tree:
            case And(()):
                return "true"
            case And(terms):
                return f"({' AND '.join(map(self.compile, terms))})"
            case Or(terms):
                return f"({' OR '.join(map(self.compile, terms))})"
            case Not(term):
                return f"({self.compile(term)}) IS NOT TRUE"
            case Phrase() | Prefix() | Regex():
                return self._search(tree)
            case _:
                return self._field(tree)

    def _search(self, tree: Phrase | Prefix | Regex) -> str:
        if isinstance(tree, Regex):
            regex = parse_regex(tree.source, ignore_case=tree.ignore_case)
            pattern, piece = self._bind(regex_pattern(regex)), piece_of_regex(regex)
        else:
            pattern = self._bind(literal_pattern(tree.text, whole_start=True, whole_end=isinstance(tree, Phrase)))
            piece = piece_of_text(tree.text)
        if tree.target is not None:
            return self._pattern_in(tree.target, pattern, piece)
        if piece is not None:
            anywhere = _fill("anywhere", pattern=pattern)
            return _fill("anywhere_after_a_look", anywhere=anywhere, piece=self._bind(piece))
        if isinstance(tree, Regex):
            return _fill("anywhere", pattern=pattern)
        return _fill("anywhere_after_a_match", pattern=pattern, part=self._bind(_part(tree.text)))

    def _pattern_in(self, target: Column | Attribute, pattern: str, piece: str | None) -> str:
        if isinstance(target, Attribute):
            return _fill("attribute_matches", value=self._value(target), pattern=pattern)
        column = _expression(target)
        if piece is None:
            return _fill("matches_pattern", column=column, pattern=pattern)
        return _fill("matches_pattern_after_a_look", column=column, pattern=pattern, piece=self._bind(piece))

    def _field(self, tree: Equals | StartsWith | Exists | Comparison | LevelIs | FacilityIs | PeerWithin) -> str:
        match tree:
            case LevelIs(operator, severity):
                return _fill("severity", operator=_SEVERITY_OPERATORS[operator], number=self._bind(int(severity)))
            case FacilityIs(facility):
                return _fill("facility", number=self._bind(int(facility)))
            case PeerWithin(network):
                return _fill("within", network=self._bind(network))
            case Comparison(target, operator, number):
                value, bound = self._value(target), self._bind(f'{{"number": {number}}}')
                return _fill("attribute_compares", value=value, operator=operator, number=bound)
        if isinstance(tree.target, Column):
            return self._column(tree, tree.target)
        return self._attribute(tree, tree.target)

    def _column(self, tree: Equals | StartsWith | Exists, column: Column) -> str:
        match tree:
            case Equals(_, text):
                return _fill("equals", column=_expression(column), text=self._bind(text))
            case StartsWith(_, text):
                return _fill("starts_with", column=_expression(column), text=self._bind(text))
            case Exists():
                return _fill("exists", column=column.name)

    def _attribute(self, tree: Equals | StartsWith | Exists, attribute: Attribute) -> str:
        value = self._value(attribute)
        match tree:
            case Equals(_, text):
                return _fill("attribute_equals", value=value, values=self._bind(_json_values(text)))
            case StartsWith(_, text):
                pattern = "^" + "".join(written(of_chars(char)) for char in text)
                return _fill("attribute_matches", value=value, pattern=self._bind(pattern))
            case Exists():
                return _fill("attribute_exists", value=value)

    def _value(self, attribute: Attribute) -> str:
        path = self._bind(list(attribute.path))
        if len(attribute.path) == 1:
            return _fill("attribute", path=path)
        return _fill("attribute_or_dotted", path=path, name=self._bind(".".join(attribute.path)))


def _fill(condition: str, **holes: str) -> str:
    return _HOLE.sub(lambda hole: holes[hole[1]], _CONDITIONS[condition])


def _expression(column: Column) -> str:
    return "host(peer)" if column.name == "peer" else column.name


def _part(text: str) -> str:
    """Return a pattern for what stands in a JSON document as it is, if a value in it holds the text."""
    return literal_pattern(max(_ESCAPED_IN_JSON.split(text), key=len), whole_start=False, whole_end=False)


def _json_values(text: str) -> str:
    """Return the JSON values that a text in a filter may be, for jsonpath."""
    values: list[Any] = [text]
    if number_in(text) is not None or text in ("true", "false", "null"):
        values.append(msgspec.Raw(text.encode()))
    return msgspec.json.encode({"values": values}).decode()
