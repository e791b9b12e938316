"""Queries with holes: ``<name>`` in an SQL file, filled with what our own code put together, never with a person's text."""

from __future__ import annotations

import re

__all__ = ["fill"]

_HOLE = re.compile(r"<([a-z_]+)>")


def fill(template: str, **holes: str) -> str:
    """Fill the holes of a query; what goes in is not looked at again.

    Raises:
        KeyError: one is left.
    """
    return _HOLE.sub(lambda hole: holes[hole[1]], template)
