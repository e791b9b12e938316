"""Bytes → frames → rows → COPY bytes. Sans-I/O: nothing here knows of an event loop, a socket or a database."""

from __future__ import annotations

__all__ = ["IMPLEMENTATION"]

IMPLEMENTATION = "python"
"""Which twin of the hot functions runs."""
