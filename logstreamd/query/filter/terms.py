"""A field, an operator and a value → a term of the tree, or what is wrong with them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from logstreamd.query.filter.automaton import MAX_INSTRUCTIONS
from logstreamd.query.filter.compiled import compile_regex
from logstreamd.query.filter.errors import FilterError, meant, shown
from logstreamd.query.filter.fields import field_names_hint, find_target
from logstreamd.query.filter.number import number_in
from logstreamd.query.filter.regex_tree import RegexError
from logstreamd.query.filter.scan import Kind, Value
from logstreamd.query.filter.tree import (
    Attribute,
    Column,
    Comparison,
    Equals,
    Exists,
    FacilityIs,
    Filter,
    LevelIs,
    Operator,
    PeerWithin,
    Phrase,
    Prefix,
    Regex,
    StartsWith,
)
from logstreamd.record import LEVELS, Facility, severity_from_name

__all__ = ["TermOf", "checked_regex", "term_builder"]


TermOf = Callable[[Value], Filter]


def term_builder(name: str, operator: str, column: int) -> TermOf:
    """Return what makes terms of the values of a field.

    Args:
        name: the field, as it is written.
        operator: ``:`` or a comparison but ``!=``, which is the opposite of ``=``.
        column: where the name stands.

    Raises:
        FilterError: there is no such field, or the field has no such comparison.
    """
    meaning: Operator = "=" if operator == ":" else operator  # type: ignore[assignment]
    if name == "level":
        return lambda value: _level(meaning, value)
    target = find_target(name)
    if target is None and name != "facility":
        raise FilterError(column, "a field", f"{shown(name)}{field_names_hint(name)}")
    if meaning != "=":
        if not isinstance(target, Attribute):
            raise FilterError(column + len(name), f"':', '=' or '!=' behind '{name}'", shown(operator))
        return lambda value: _comparison(target, meaning, value)
    if target is None:
        return _facility
    if target == Column("peer"):
        return lambda value: _peer(target, value)
    return lambda value: _field(target, value)


def checked_regex(value: Value, target: Column | Attribute | None) -> Regex:
    """Return the term of a regex.

    Raises:
        FilterError: it is not in the language, or it expands to too much.
    """
    ignore_case = value.kind is Kind.REGEX_ANY_CASE
    try:
        compiled = compile_regex(value.text, ignore_case=ignore_case)
    except RegexError as problem:
        raise FilterError(value.column + 1 + problem.offset, problem.expected, problem.got) from None
    if compiled is None:
        expected = f"a regex of at most {MAX_INSTRUCTIONS} characters once its repetitions are written out"
        raise FilterError(value.column, expected, shown(value.text))
    return Regex(value.text, ignore_case, target)


def _field(target: Column | Attribute, value: Value) -> Filter:
    if value.kind in (Kind.REGEX, Kind.REGEX_ANY_CASE):
        return checked_regex(value, target)
    if value.kind is Kind.PREFIX and not value.text:
        return Exists(target)
    if isinstance(target, Column) and target.name == "message":
        if not value.text:
            raise FilterError(value.column, "text between the quotes", "'\"\"'")
        return Prefix(value.text, target) if value.kind is Kind.PREFIX else Phrase(value.text, target)
    return StartsWith(target, value.text) if value.kind is Kind.PREFIX else Equals(target, value.text)


def _comparison(target: Attribute, operator: Operator, value: Value) -> Filter:
    if value.kind is not Kind.TEXT or number_in(value.text) is None:
        raise FilterError(value.column, f"a number behind '{operator}'", value.shown)
    return Comparison(target, operator, value.text)


def _level(operator: Operator, value: Value) -> Filter:
    severity = severity_from_name(value.text) if value.kind is Kind.TEXT else None
    if severity is None:
        guess = meant(value.text, LEVELS) or f"; there are {', '.join(reversed(LEVELS))}"
        raise FilterError(value.column, "a level", f"{value.shown}{guess}")
    return LevelIs(operator, severity)


def _facility(value: Value) -> Filter:
    names = {facility.name.lower(): facility for facility in Facility}
    names |= {str(int(facility)): facility for facility in Facility}
    facility = names.get(value.text.lower()) if value.kind is Kind.TEXT else None
    if facility is None:
        raise FilterError(
            value.column, "a facility such as local0, or 0..23", f"{value.shown}{meant(value.text, names)}"
        )
    return FacilityIs(facility)


def _peer(target: Column, value: Value) -> Filter:
    if value.kind is Kind.PREFIX and not value.text:
        return Exists(target)
    try:
        # A zone ("%eth0") is no part of what the kernel's address is stored as.
        if value.kind is Kind.TEXT and "%" not in value.text:
            return PeerWithin(str(ipaddress.ip_network(value.text, strict=False)))
    except ValueError:
        pass
    raise FilterError(value.column, "an address, or a network such as 10.0.0.0/8", value.shown)
