"""The tree of a filter → the severities, services and hosts that its rows can have: the question to a block's lists.

Where nothing can be said, everything is allowed: what is computed here may be too wide, never too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import ge, gt, le, lt
from typing import Literal

from logstreamd.query.filter.tree import And, Column, Equals, Filter, LevelIs, Not, Or, StartsWith
from logstreamd.record import Severity

__all__ = ["ALL_SEVERITIES", "ANYTHING", "NOTHING", "Names", "Restrictions", "restrictions"]

ALL_SEVERITIES = frozenset(Severity)
# Severities count from the worst: at least as bad is at most as large.
_COMPARE = {"<": gt, "<=": ge, ">": lt, ">=": le}


@dataclass(frozen=True, slots=True)
class Names:
    """Texts that a name may be: one of these, or one that begins like one of those."""

    exact: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()

    def allow(self, name: str) -> bool:
        """Tell whether a name is among them."""
        return name in self.exact or any(name.startswith(prefix) for prefix in self.prefixes)


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What a row that passes a filter can be.

    Attributes:
        severities: its severity is one of these.
        services: its service is one of these, and not missing; None: it may be anything.
        hosts: the same of its host.
    """

    severities: frozenset[Severity] = ALL_SEVERITIES
    services: Names | None = None
    hosts: Names | None = None


ANYTHING = Restrictions()
NOTHING = Restrictions(frozenset(), Names(), Names())


def restrictions(tree: Filter) -> Restrictions:
    """Return what every row that passes the filter is."""
    return _restrictions(tree, negated=False)


def _restrictions(tree: Filter, *, negated: bool) -> Restrictions:
    match tree:
        case Not(term):
            return _restrictions(term, negated=not negated)
        case And(terms) | Or(terms):
            parts = (_restrictions(term, negated=negated) for term in terms)
            # Not all of them is one of them not; not one of them is all of them not.
            return _both(parts) if isinstance(tree, And) != negated else _either(parts)
        case LevelIs(operator, severity):
            allowed = _severities(operator, severity)
            return Restrictions(ALL_SEVERITIES - allowed if negated else allowed)
        case Equals(Column(column), text) if not negated:
            return _of_column(column, Names(exact=frozenset({text})))
        case StartsWith(Column(column), text) if not negated:
            return _of_column(column, Names(prefixes=frozenset({text})))
    return ANYTHING


def _severities(operator: Literal["=", "<", "<=", ">", ">="], severity: Severity) -> frozenset[Severity]:
    if operator == "=":
        return frozenset({severity})
    return frozenset(one for one in Severity if _COMPARE[operator](one, severity))


def _of_column(column: str, names: Names) -> Restrictions:
    if column == "service":
        return Restrictions(services=names)
    return Restrictions(hosts=names) if column == "host" else ANYTHING


def _both(parts: Iterable[Restrictions]) -> Restrictions:
    return reduce(
        lambda one, other: Restrictions(
            one.severities & other.severities,
            _common(one.services, other.services),
            _common(one.hosts, other.hosts),
        ),
        parts,
        ANYTHING,
    )


def _either(parts: Iterable[Restrictions]) -> Restrictions:
    return reduce(
        lambda one, other: Restrictions(
            one.severities | other.severities,
            _united(one.services, other.services),
            _united(one.hosts, other.hosts),
        ),
        parts,
        NOTHING,
    )


def _common(one: Names | None, other: Names | None) -> Names | None:
    """Return names that hold all that both have; of two with beginnings either one will do."""
    if one is None or other is None:
        return other if one is None else one
    if not one.prefixes:
        return Names(exact=frozenset(filter(other.allow, one.exact)))
    return one if other.prefixes else _common(other, one)


def _united(one: Names | None, other: Names | None) -> Names | None:
    if one is None or other is None:
        return None
    return Names(one.exact | other.exact, one.prefixes | other.prefixes)
