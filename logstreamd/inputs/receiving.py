"""The receive that this installation has: the compiled one where it was built, else the readable one."""

from __future__ import annotations

try:
    from logstreamd.inputs._receive import receive_datagrams
except ImportError:  # built without a compiler, or on a system without recvmmsg
    from logstreamd.inputs.receive import receive_datagrams

__all__ = ["receive_datagrams"]
