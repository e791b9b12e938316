"""What goes to standard error."""

from __future__ import annotations

import sys

__all__ = ["show", "tell"]


def show(text: str) -> None:
    """Write a text as it is, at once."""
    sys.stderr.write(text)
    sys.stderr.flush()


def tell(text: str) -> None:
    """Write one line that says who speaks."""
    show(f"logstream-generate: {text}\n")
