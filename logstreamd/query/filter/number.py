"""Texts that are numbers, and what compares with them."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["number_in", "plain_number_in"]

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_MAX_CHARS = 64  # more digits than any measurement has
_MAX_EXPONENT = 400  # beyond a double's; PostgreSQL writes numbers out, digit by digit

_PLAIN_NUMBER = re.compile(r"-?(?:[0-9]{1,15}|[0-9]{1,9}\.[0-9]{1,6})")


def number_in(text: str) -> Decimal | None:
    """Return the number a filter's value is, when JSON would take it for one; None when it is text only."""
    if len(text) > _MAX_CHARS or not _JSON_NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if abs(number.adjusted()) <= _MAX_EXPONENT else None


def plain_number_in(text: str) -> Decimal | None:
    """Return the number that a row's text is for ``<`` and ``>``; None when it is not one.

    Structured data knows texts only (``duration="750"``), so plain decimals are compared as numbers. They have 15
    digits at most, which is what PostgreSQL's ``double()`` keeps. The SQL twin is in ``conditions.sql``.
    """
    return Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else None
