"""Bytes → frames → rows → COPY bytes. Sans-I/O: nothing here knows of an event loop, a socket or a database."""

from __future__ import annotations

from logstreamd.wire.implementation import IMPLEMENTATION

__all__ = ["IMPLEMENTATION"]
