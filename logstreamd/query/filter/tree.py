"""The tree of a filter: what :func:`~logstreamd.query.filter.parse.parse_filter` makes of a text.

``str()`` of a tree is a text that parses to the same tree. An ``And`` of nothing is the filter that takes everything;
otherwise ``And`` and ``Or`` have two terms or more. ``a != b`` is ``Not(a = b)``, a list is an ``Or``: they have no
nodes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from logstreamd.query.filter.written import write_number, write_path, write_regex, write_search, write_value
from logstreamd.record import LEVELS, Facility, Severity

__all__ = [
    "EVERYTHING",
    "SEARCHED_COLUMNS",
    "And",
    "Attribute",
    "Column",
    "ColumnName",
    "Comparison",
    "Equals",
    "Exists",
    "FacilityIs",
    "Filter",
    "LevelIs",
    "Not",
    "Operator",
    "Or",
    "PeerWithin",
    "Phrase",
    "Prefix",
    "Regex",
    "StartsWith",
]

Operator: TypeAlias = Literal["=", "<", "<=", ">", ">="]
ColumnName: TypeAlias = Literal[
    "message", "service", "host", "trace_id", "proc_id", "msg_id", "input", "format", "peer"
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of text, or ``peer``."""

    name: ColumnName

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value in ``attrs``: by its path, or else by the whole path as one name with dots in it."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return write_path(self.path)


@dataclass(frozen=True, slots=True)
class And:
    """All of the terms."""

    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return " ".join(f"({term})" if isinstance(term, And | Or) else str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the terms."""

    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return " OR ".join(f"({term})" if isinstance(term, And | Or) else str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Not:
    """Not the term; true where the term asks for a field that is not there."""

    term: Filter

    def __str__(self) -> str:
        return f"-({self.term})" if isinstance(self.term, And | Or) else f"-{self.term}"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text, in any case, at whose ends no token goes on. A word is a phrase.

    Without a target it is looked for in message, service, host, trace_id and every value of ``attrs``.
    """

    text: str
    target: Column | None = None

    def __str__(self) -> str:
        return write_search(self.target, self.text)


@dataclass(frozen=True, slots=True)
class Prefix:
    """A text, in any case, behind which a token may go on; it is looked for as a phrase is."""

    text: str
    target: Column | None = None

    def __str__(self) -> str:
        return write_search(self.target, self.text) + "*"


@dataclass(frozen=True, slots=True)
class Regex:
    """A regex that matches anywhere in the text; without a target it is looked for as a phrase is."""

    source: str
    ignore_case: bool = False
    target: Column | Attribute | None = None

    def __str__(self) -> str:
        return write_regex(self.target, self.source, self.ignore_case)


@dataclass(frozen=True, slots=True)
class Equals:
    """A field is exactly this text, or this number, ``true``, ``false`` or ``null``."""

    target: Column | Attribute
    value: str

    def __str__(self) -> str:
        return f"{self.target}:{write_value(self.value)}"


@dataclass(frozen=True, slots=True)
class StartsWith:
    """A field begins with this text."""

    target: Column | Attribute
    value: str

    def __str__(self) -> str:
        return f"{self.target}:{write_value(self.value)}*"


@dataclass(frozen=True, slots=True)
class Exists:
    """A field is there and not null."""

    target: Column | Attribute

    def __str__(self) -> str:
        return f"{self.target}:*"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number in ``attrs`` is less or more than this one, which is written as JSON writes numbers."""

    target: Attribute
    operator: Operator
    number: str

    def __str__(self) -> str:
        return f"{self.target}{write_number(self.operator, self.number)}"


@dataclass(frozen=True, slots=True)
class LevelIs:
    """The level is this one, or worse (``>``), or less bad (``<``)."""

    operator: Operator
    severity: Severity

    def __str__(self) -> str:
        return f"level{write_number(self.operator, LEVELS[self.severity])}"


@dataclass(frozen=True, slots=True)
class FacilityIs:
    """The facility is this one."""

    facility: Facility

    def __str__(self) -> str:
        return f"facility:{self.facility.name.lower()}"


@dataclass(frozen=True, slots=True)
class PeerWithin:
    """The sender's address is in this network (a single address is a network of one), in CIDR notation."""

    network: str

    def __str__(self) -> str:
        return f"peer:{write_value(self.network)}"


Filter: TypeAlias = (
    And
    | Or
    | Not
    | Phrase
    | Prefix
    | Regex
    | Equals
    | StartsWith
    | Exists
    | Comparison
    | LevelIs
    | FacilityIs
    | PeerWithin
)

EVERYTHING = And(())

SEARCHED_COLUMNS = ("message", "service", "host", "trace_id")
"""Where a text without a field is looked for, beside the values of ``attrs``. The SQL twin is in ``conditions.sql``."""
