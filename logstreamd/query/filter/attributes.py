"""Values in ``attrs`` by their path, as PostgreSQL finds them (``attrs #> path``)."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["ABSENT", "elements", "value_at"]

ABSENT: Final = object()
"""There is no value; JSON's null is None."""

_INDEX = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")  # what C's strtol takes
_INDEX_LIMIT = 2**31


def value_at(attrs: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path, or :data:`ABSENT`.

    Args:
        attrs: a JSON object, or None.
        path: names of fields, and positions in arrays (``0``, ``-1``). When nothing is there, the field whose name is
            the whole path with dots in it is taken.
    """
    value = attrs
    for name in path:
        if isinstance(value, dict):
            value = value.get(name, ABSENT)
        else:
            value = _element(value, name) if isinstance(value, list) else ABSENT
    if value is ABSENT and isinstance(attrs, dict):
        return attrs.get(".".join(path), ABSENT)
    return value


def elements(value: Any) -> list[Any]:
    """Return the elements of an array, or the value itself if there is one."""
    if isinstance(value, list):
        return value
    return [] if value is ABSENT else [value]


def _element(array: list[Any], name: str) -> Any:
    index = _INDEX.fullmatch(name)
    if index is None or not -_INDEX_LIMIT <= int(index[1]) < _INDEX_LIMIT:
        return ABSENT
    position = int(index[1])
    return array[position] if -len(array) <= position < len(array) else ABSENT
