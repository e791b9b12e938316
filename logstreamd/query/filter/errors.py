"""What is wrong with a filter, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["FilterError", "meant", "shown"]

_SHOWN_CHARS = 40  # a mistake is recognised by its beginning


class FilterError(ValueError):
    """A filter can't be read. As text: ``q:9: expected a value after 'service:' (got end)``.

    Args:
        column: where, in characters counted from 1.
        expected: what could have stood there.
        got: what stands there, as :func:`shown` writes it; or what is wrong with it.
    """

    def __init__(self, column: int, expected: str, got: str) -> None:
        super().__init__(f"q:{column}: expected {expected} (got {got})")
        self.column = column
        self.expected = expected
        self.got = got


def shown(text: str) -> str:
    """Quote what stands in a filter for a message; nothing is the end."""
    if not text:
        return "end"
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")


def meant(name: str, known: Iterable[str]) -> str:
    """Guess which known name was meant, for the end of a message: ``; did you mean service?``, or nothing."""
    guesses = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"; did you mean {guesses[0]}?" if guesses else ""
