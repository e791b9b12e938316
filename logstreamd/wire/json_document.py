"""JSON text → Python values that jsonb takes.

msgspec reads what is strictly JSON; what it refuses (control characters in strings, lone surrogates, bytes
that are not UTF-8, NaN, numbers out of range) goes through the standard library's decoder and is repaired:

========================================== ====================================== ===================
what arrives                               what is stored                         flag
========================================== ====================================== ===================
NUL in a string or key                     ``\\x00``, readable                    ``nul``
a lone surrogate                           ``\\udXXX``, readable                  ``surrogate``
a byte that is not UTF-8                   ``\\xNN``, readable                    ``invalid_utf8``
NaN, Infinity, a number with more digits   the number's text as a string          ``number``
than can be kept, or out of range
more than 64 levels, over 1,000 keys       the part beyond as one JSON text       ``json_limits``
========================================== ====================================== ===================

A key that comes twice has its last value, as in jsonb itself. Source: PostgreSQL's jsonb (22P02, 22P05,
22003, 54001).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["MAX_DEPTH", "MAX_KEYS", "Document", "decode_object"]

MAX_DEPTH = 64
"""Levels of nesting kept; PostgreSQL gives up between 6,000 and 20,000, readers much earlier."""
MAX_KEYS = 1000
"""Keys kept in one document, all levels together."""
_MAX_INT_DIGITS = 4300
# A double keeps 15 significant digits whatever they are; texts this short need no second look.
_SAFE_FLOAT_CHARS = 15

_INVALID_BYTE = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Document:
    """A decoded JSON object, what had to be repaired in it, and the JSON text of keys beyond the limit."""

    fields: dict[str, Any]
    flags: set[str] = field(default_factory=set)
    rest: str | None = None


def decode_object(data: bytes) -> Document | None:
    """Decode a frame that should be one JSON object.

    Returns:
        The document, or None when it is not JSON or not an object at the top.
    """
    flags: set[str] = set()
    try:
        value = _strict.decode(data)
    except (ValueError, RecursionError):
        try:
            value = _decode_leniently(data, flags)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        return _repair(value, flags, invalid_utf8="invalid_utf8" in flags)
    if not isinstance(value, dict):
        return None
    # Cheap upper bounds of depth and number of keys decide whether the values have to be walked through.
    if b"\\u0000" in data or data.count(b"{") + data.count(b"[") > MAX_DEPTH or data.count(b":") > MAX_KEYS:
        return _repair(value, flags, invalid_utf8=False)
    return Document(value)


def _exact_float(text: str) -> float:
    """Read a number with fraction or exponent; ValueError when a double would change it."""
    value = float(text)
    if len(text) <= _SAFE_FLOAT_CHARS and 1e-300 < abs(value) < 1e300:
        return value
    if value in (float("inf"), float("-inf")) or Decimal(repr(value)) != Decimal(text):
        raise ValueError("a double does not hold this number")
    return value


_strict = msgspec.json.Decoder(float_hook=_exact_float)


def _decode_leniently(data: bytes, flags: set[str]) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
        flags.add("invalid_utf8")

    def keep_text(number: str) -> str:
        flags.add("number")
        return number

    def read_float(number: str) -> float | str:
        try:
            return _exact_float(number)
        except (ValueError, ArithmeticError):
            return keep_text(number)

    def read_int(number: str) -> int | str:
        return int(number) if len(number) <= _MAX_INT_DIGITS else keep_text(number)

    decoder = json.JSONDecoder(strict=False, parse_float=read_float, parse_int=read_int, parse_constant=keep_text)
    return decoder.decode(text)


def _repair(value: dict[str, Any], flags: set[str], *, invalid_utf8: bool) -> Document | None:
    repair = _Repair(flags, invalid_utf8)
    rest = None
    if len(value) > MAX_KEYS:
        items = list(value.items())
        flags.add("json_limits")
        rest = repair.as_text(dict(items[MAX_KEYS:]))
        value = dict(items[:MAX_KEYS])
    fields = repair.mapping(value, 1)
    return Document(fields, flags, rest)


class _Repair:
    """One walk through a decoded document that makes it storable."""

    def __init__(self, flags: set[str], invalid_utf8: bool) -> None:
        self._flags = flags
        self._invalid_utf8 = invalid_utf8
        self._keys = 0

    def mapping(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        self._keys += len(value)
        repaired: dict[str, Any] = {}
        for key, item in value.items():
            name = self._string(key)
            while name in repaired:  # two keys that differ only in what was repaired
                name += "_"
            repaired[name] = self._any(item, depth)
        return repaired

    def _any(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._string(value)
        if not isinstance(value, (dict, list)):
            return value
        if depth >= MAX_DEPTH or (isinstance(value, dict) and self._keys + len(value) > MAX_KEYS):
            self._flags.add("json_limits")
            return self.as_text(value)
        if isinstance(value, dict):
            return self.mapping(value, depth + 1)
        return [self._any(item, depth + 1) for item in value]

    def as_text(self, value: Any) -> str:
        return self._string(json.dumps(value, ensure_ascii=False))

    def _string(self, text: str) -> str:
        if "\0" in text:
            self._flags.add("nul")
            text = text.replace("\0", "\\x00")
        if text.isascii() or not _SURROGATE.search(text):
            return text
        if self._invalid_utf8:
            text = _INVALID_BYTE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", text)
        if _SURROGATE.search(text):
            self._flags.add("surrogate")
            text = _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        return text
