"""What lines are grouped by → SQL for the text of a row's value, which is empty where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from logstreamd.query.filter.tree import Attribute, Column
from logstreamd.query.templates import fill
from logstreamd.record import LEVELS
from logstreamd.storage.queries import load_queries

__all__ = ["NOTHING", "VALUE_MAX_CHARS", "Key", "Verbatim", "key_expression"]

VALUE_MAX_CHARS = 256
"""Of a value as text; those with the same beginning are one."""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A value as the tables have it."""

    expression: Literal["''", "service", "severity::text"]


NOTHING = Verbatim("''")

Key: TypeAlias = Column | Attribute | Verbatim | None
"""Where the value is; None is the level."""

_SQL = load_queries("tallies.sql", package="logstreamd.query")


def key_expression(key: Key, bind: Callable[[Any], str]) -> str:
    """Return an expression for the value of a row.

    Args:
        key: where it is.
        bind: makes a value a parameter, and returns how it is written.
    """
    most = str(VALUE_MAX_CHARS)
    match key:
        case None:
            return fill(_SQL["level"], levels=bind(list(LEVELS)))
        case Verbatim(expression):
            return expression
        case Column(name):
            return fill(_SQL["column"], column=name, most=most)
        case Attribute(path):
            value = fill(_SQL["attribute_at"], path=bind(list(path)), name=bind(".".join(path)))
            return fill(_SQL["attribute"], value=value, most=most)
