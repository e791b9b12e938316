"""Which twin of the receive this installation has: the compiled one where it was built, else the plain."""

from __future__ import annotations

__all__ = ["RECEIVING", "receive_datagrams"]

try:
    from logstreamd.inputs._receive import receive_datagrams

    RECEIVING = "compiled"
    """Which twin runs: ``compiled`` or ``python``."""
except ImportError:  # installed without a compiler, or on a system without recvmmsg
    from logstreamd.inputs.receive import receive_datagrams

    RECEIVING = "python"
