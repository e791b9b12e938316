"""Values of a log line → plain values that nothing can hide in: escaped text, finite numbers, and an end to it all.

Whatever a peer sent may end up in a line: a control character could end the line and begin a forged one, or move the
cursor of the terminal that shows it; a character that turns the reading direction could make it say something else.
What ``str.isprintable`` refuses covers them: C0, DEL and C1 with NEL, the bidirectional marks and overrides, LS and
PS, lone surrogates, and every other character that has no glyph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from structlog.typing import EventDict, WrappedLogger

__all__ = ["escaped", "plain_values"]

_MAX_LINE_CHARS = 65_536
"""Of all texts of a line together: as much as the longest message of an input by default, which an alert may quote."""
_MAX_TEXT_CHARS = 8_192  # of one text: a PostgreSQL error with its context has some 2,000
_MAX_ITEMS = 100  # of one list or mapping: more than there may be inputs
_MAX_DEPTH = 8  # an exception in a group in a group
_VALUE_CHARS = 8  # what a value counts that has no text
_CUT = "…"


def escaped(text: str) -> str:
    """Return a text in which every character without a glyph is written out: ``\\n``, ``\\x9b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def plain_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make every name and value of a line plain: the processor."""
    line = _Line()
    return {line.text(name): line.plain(value, _MAX_DEPTH) for name, value in event.items()}


class _Line:
    """One line, and how much may still be written to it."""

    def __init__(self) -> None:
        self._chars_left = _MAX_LINE_CHARS

    def text(self, text: str) -> str:
        allowed = max(0, min(_MAX_TEXT_CHARS, self._chars_left))
        self._chars_left -= len(text[:allowed]) + _VALUE_CHARS
        return escaped(text) if len(text) <= allowed else escaped(text[:allowed]) + _CUT

    def plain(self, value: object, depth: int) -> Any:
        match value:
            case str():
                return self.text(str(value))
            case None | bool() | int():
                self._chars_left -= _VALUE_CHARS
                return value
            case float():
                self._chars_left -= _VALUE_CHARS
                return value if math.isfinite(value) else str(value)  # JSON has no word for the others
            case Mapping() | list() | tuple() | AbstractSet():
                return self._container(value, depth)
        return self.text(repr(value))

    def _container(self, value: Any, depth: int) -> Any:
        if not depth or self._chars_left <= 0:
            return _CUT
        items: list[Any] = []
        for item in value.items() if isinstance(value, Mapping) else value:
            if len(items) == _MAX_ITEMS or self._chars_left <= 0:
                items.append((_CUT, len(value) - len(items)) if isinstance(value, Mapping) else _CUT)
                break
            if isinstance(value, Mapping):
                items.append((self.text(str(item[0])), self.plain(item[1], depth - 1)))
            else:
                items.append(self.plain(item, depth - 1))
        return dict(items) if isinstance(value, Mapping) else items
