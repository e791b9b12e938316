"""Queries with holes: ``<name>`` in an SQL file, to be filled by our own code and never with a text of a person."""

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
