"""A mistake inside a text that stands in a rule file: at which character, and what is wrong."""

from __future__ import annotations

__all__ = ["MistakeError"]


class MistakeError(ValueError):
    """A text can't be read.

    Args:
        offset: where, in characters counted from 0.
        message: what was expected, and what is there.
    """

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
