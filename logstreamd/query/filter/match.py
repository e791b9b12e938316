"""A filter's answer for one row in memory, for live tails: the same as that of the SQL once the row is stored."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from operator import eq, ge, gt, le, lt
from typing import Any

from logstreamd.query.filter.attributes import ABSENT, elements, value_at
from logstreamd.query.filter.compiled import compile_regex
from logstreamd.query.filter.number import number_in, plain_number_in
from logstreamd.query.filter.tree import (
    SEARCHED_COLUMNS,
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
    Operator,
    Or,
    PeerWithin,
    Phrase,
    Prefix,
    Regex,
    StartsWith,
)
from logstreamd.wire.attribute_text import attribute_texts, number_of, scalar_text
from logstreamd.wire.tokens import fold, is_token_char

__all__ = ["matches"]

Row = Mapping[str, Any]
_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
_CONSTANTS = {"true": True, "false": False, "null": None}


def matches(tree: Filter, row: Row) -> bool:
    """Tell whether a row passes a filter.

    Args:
        tree: the filter.
        row: the columns of ``logs`` by name, as the API shows them: ``attrs`` a dict or None, ``peer`` a text or None.
    """
    match tree:
        case And(terms):
            return all(matches(term, row) for term in terms)
        case Or(terms):
            return any(matches(term, row) for term in terms)
        case Not(term):
            return not matches(term, row)
        case Phrase() | Prefix() | Regex():
            finds = _finder(tree)
            return any(finds(text) for text in _texts(tree.target, row))
        case LevelIs(operator, severity):
            # Severities count from the worst.
            return _COMPARE[operator](-row["severity"], -severity)
        case FacilityIs(facility):
            return bool(row["facility"] == facility)
        case PeerWithin(network):
            return _within(row["peer"], network)
        case Comparison():
            return any(_compares(value, tree) for value in elements(value_at(row["attrs"], tree.target.path)))
        case _:
            return _field_matches(tree, row)


def _field_matches(tree: Equals | StartsWith | Exists, row: Row) -> bool:
    match tree:
        case Equals(Column(name), text):
            return bool(row[name] == text)
        case Equals(Attribute(path), text):
            return any(_equals(value, text) for value in elements(value_at(row["attrs"], path)))
        case StartsWith(target, text):
            return any(found.startswith(text) for found in _texts(target, row))
        case Exists(Column(name)):
            return row[name] is not None
        case Exists(Attribute(path)):
            return value_at(row["attrs"], path) not in (ABSENT, None)
    raise AssertionError(f"unreachable: {tree!r}")


def _texts(target: Column | Attribute | None, row: Row) -> Iterator[str]:
    """Yield the texts in which a term without, or with, a target is looked for."""
    match target:
        case None:
            yield from (row[column] for column in SEARCHED_COLUMNS if row[column] is not None)
            yield from attribute_texts(row["attrs"])
        case Column(name):
            if row[name] is not None:
                yield row[name]
        case Attribute(path):
            values = elements(value_at(row["attrs"], path))
            yield from (text for text in map(scalar_text, values) if text is not None)


def _finder(tree: Phrase | Prefix | Regex) -> Callable[[str], bool]:
    if isinstance(tree, Regex):
        automaton = compile_regex(tree.source, ignore_case=tree.ignore_case)
        if automaton is None:
            raise ValueError(f"a regex that is too large: {tree.source!r}")
        return automaton.search
    wanted = fold(tree.text)
    whole_start = is_token_char(wanted[:1])
    whole_end = isinstance(tree, Phrase) and is_token_char(wanted[-1:])
    return lambda text: _holds_whole(fold(text), wanted, whole_start, whole_end)


def _holds_whole(text: str, wanted: str, whole_start: bool, whole_end: bool) -> bool:
    """Tell whether a text holds another at whose ends no token goes on."""
    found = text.find(wanted)
    while found >= 0:
        end = found + len(wanted)
        cut_start = whole_start and is_token_char(text[found - 1 : found])
        cut_end = whole_end and is_token_char(text[end : end + 1])
        if not cut_start and not cut_end:
            return True
        found = text.find(wanted, found + 1)
    return False


def _within(peer: str | None, network: str) -> bool:
    if peer is None:
        return False
    address, range_ = ipaddress.ip_address(peer), ipaddress.ip_network(network)
    return address.version == range_.version and address in range_


def _equals(value: Any, text: str) -> bool:
    """Compare one JSON value with what a text in a filter may be: a text, a number, or a constant."""
    if isinstance(value, str):
        return value == text
    if value is None or isinstance(value, bool):
        return text in _CONSTANTS and value is _CONSTANTS[text]
    number, wanted = number_of(value), number_in(text)
    return number is not None and wanted is not None and number == wanted


def _compares(value: Any, comparison: Comparison) -> bool:
    number = plain_number_in(value) if isinstance(value, str) else number_of(value)
    return number is not None and _COMPARE[comparison.operator](number, Decimal(comparison.number))
