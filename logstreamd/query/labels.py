"""What rows are counted by: the fields named in ``by`` → SQL for the values, and the values as an answer has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from logstreamd.query.errors import BadParameterError
from logstreamd.query.filter.errors import meant
from logstreamd.query.filter.fields import FIELD, find_target
from logstreamd.query.filter.tree import Attribute, Column
from logstreamd.query.parameters import Values, read_names
from logstreamd.record import LEVELS

__all__ = ["Label", "find_label", "read_labels"]

_MAX_LABELS = 4  # every one multiplies the series; a chart shows one or two
_MAX_VALUE_CHARS = 1_024  # of a value in attrs; those with the same beginning count as one. Columns are shorter
_LEVEL = "level"
_COLUMNS = ("service", "host", "trace_id", "proc_id", "msg_id", "input", "format", "peer")


@dataclass(frozen=True, slots=True)
class Label:
    """A field whose values make series of their own.

    Attributes:
        name: as it was asked for.
        target: where it is; None is the level.
    """

    name: str
    target: Column | Attribute | None

    def to_sql(self, bind: Callable[[Any], str]) -> str:
        """Return an expression for the value of a row of ``logs``.

        Args:
            bind: makes a value a parameter and returns how it is written.
        """
        match self.target:
            case None:
                return "severity"
            case Column("peer"):
                return "host(peer)"
            case Column(name):
                return name
            case Attribute(path):
                value = f"attrs #> {bind(list(path))}::text[], attrs -> {bind('.'.join(path))}::text"
                return f"left(coalesce({value}) #>> '{{}}', {_MAX_VALUE_CHARS})"

    def value_of(self, text: str | None) -> str | None:
        """Return the value as an answer shows it, from what the database returned as text."""
        return LEVELS[int(text)] if text is not None and self.target is None else text


def find_label(name: str) -> Label | None:
    """Return what a name stands for, or None when rows can't be counted by it."""
    if name == _LEVEL:
        return Label(name, None)
    target = find_target(name) if FIELD.fullmatch(f"{name}=") else None
    return None if target is None or target == Column("message") else Label(name, target)


def read_labels(values: Values, field: str) -> tuple[Label, ...]:
    """Read the fields to count by; none when the parameter was not given.

    Raises:
        BadParameterError: a name is not known or comes twice, or they are too many.
    """
    names = read_names(values, field) or ()
    if len(names) > _MAX_LABELS:
        raise BadParameterError(field, f"must be at most {_MAX_LABELS} fields (got {len(names)})")
    if len(set(names)) < len(names):
        raise BadParameterError(field, f"must not name a field twice (got {','.join(names)!r})")
    return tuple(_label(name, field) for name in names)


def _label(name: str, field: str) -> Label:
    label = find_label(name)
    if label is None:
        known = f"{_LEVEL}, {', '.join(_COLUMNS)}, attrs.NAME or tag.NAME"
        hint = meant(name, (_LEVEL, *_COLUMNS))
        raise BadParameterError(field, f"must be {known} (got {name!r}{hint})")
    return label
