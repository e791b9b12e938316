"""The framer that this installation has: the compiled one where it was built, else the readable one."""

from __future__ import annotations

try:
    from logstreamd.wire._split import Framer
except ImportError:  # built without a compiler
    from logstreamd.wire.framing import Framer  # type: ignore[assignment]

__all__ = ["Framer"]
