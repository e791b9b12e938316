"""The names of fields, as people write them in front of ``:`` or a comparison."""

from __future__ import annotations

import re

from logstreamd.query.filter.errors import meant
from logstreamd.query.filter.tree import Attribute, Column, ColumnName

__all__ = ["FIELD", "field_names_hint", "find_target", "unquoted"]

_COLUMNS: tuple[ColumnName, ...] = (
    "message", "service", "host", "trace_id", "proc_id", "msg_id", "input", "format", "peer"
)  # fmt: skip
_BY_NAME = {name: Column(name) for name in _COLUMNS}
_OTHERS = ("level", "facility", "attrs", "tag")
_SEGMENT = r'(?:[\w@-]+|"(?:\\.|[^"\\])*")'

FIELD = re.compile(rf"([^\W\d][\w@-]*(?:\.{_SEGMENT})*)(!=|>=|<=|[:=<>])", re.DOTALL)
"""A name and an operator, at the start of a term."""

_SEGMENTS = re.compile(rf"\.({_SEGMENT})", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')


def unquoted(text: str) -> str:
    """Return what stands between quotes: ``\\"`` is a quote, ``\\\\`` a backslash, any other backslash is itself."""
    return _ESCAPED.sub(r"\1", text)


def find_target(name: str) -> Column | Attribute | None:
    """Return what a name stands for, or None when it stands for nothing that is a column of text or an attribute."""
    first, _, rest = name.partition(".")
    if not rest:
        return _BY_NAME.get(first)  # type: ignore[call-overload,no-any-return]
    segments = _SEGMENTS.findall(name, len(first))
    path = tuple(unquoted(segment[1:-1]) if segment[0] == '"' else segment for segment in segments)
    match first:
        case "attrs":
            return Attribute(path)
        case "tag":
            return Attribute(("tags", *path))
    return None


def field_names_hint(name: str) -> str:
    """Say what may have been meant by a name that is no field, for the end of a message."""
    first, _, rest = name.partition(".")
    if rest:
        guess = meant(first, ("attrs", "tag"))
        return f"{guess[:-1]}.{rest}?" if guess else f"; did you mean attrs.{name}?"
    if first in ("attrs", "tag"):
        return f"; write {first}.NAME"
    return meant(first, [*_COLUMNS, *_OTHERS]) or f"; did you mean attrs.{name}? Text with this in it goes in quotes"
