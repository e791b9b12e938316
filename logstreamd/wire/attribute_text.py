"""JSON values → the text PostgreSQL shows for them, so that what is searched here is what is searched there.

============================ ============================================================
value                        text (as ``value #>> '{}'`` gives it for jsonb)
============================ ============================================================
string                       itself
number                       without exponent, digits as they were written: ``1e3`` is ``1000``,
                             ``1.50`` keeps its zero, ``-0.0`` is ``0.0``
``true``, ``false``          ``true``, ``false``
``null``, objects, arrays    none
============================ ============================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["attribute_texts", "number_of", "scalar_text"]


def scalar_text(value: Any) -> str | None:
    """Return the text of one JSON value; None when it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    number = number_of(value)
    return None if number is None else format(number if number else abs(number), "f")


def number_of(value: Any) -> Decimal | None:
    """Return the number that PostgreSQL stores for a JSON number, exactly; None when the value is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    if isinstance(value, float):
        # What is stored is the decimal text that the encoder writes, not the binary fraction.
        return Decimal(msgspec.json.encode(value).decode())
    return None


def attribute_texts(attrs: Any) -> Iterator[str]:
    """Yield the text of every value in a JSON document, at any depth; the names of fields are not among them."""
    pending = [attrs]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif (text := scalar_text(value)) is not None:
            yield text
