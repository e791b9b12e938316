"""How many datagrams the kernel threw away, per socket.

Linux counts in the last column of ``/proc/self/net/udp`` and ``udp6`` every datagram it dropped because a socket's
receive buffer was full. The socket is found by its inode. The host-wide ``UdpRcvbufErrors`` would count other
programs' losses too.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

__all__ = ["kernel_drops", "parse_drops"]

_TABLES = (Path("/proc/self/net/udp"), Path("/proc/self/net/udp6"))
_INODE_COLUMN = 9


def kernel_drops(inodes: Collection[int]) -> dict[int, int]:
    """Return the drops so far of the sockets with these inodes; a socket the kernel does not list is left out."""
    drops: dict[int, int] = {}
    for table in _TABLES:
        try:
            text = table.read_text()
        except OSError:  # not Linux, or /proc is hidden from us
            continue
        drops |= parse_drops(text, inodes)
    return drops


def parse_drops(table: str, inodes: Collection[int]) -> dict[int, int]:
    """Read one of the kernel's tables.

    Args:
        table: the text of ``/proc/net/udp`` or ``udp6``.
        inodes: the sockets to look for.
    """
    found: dict[int, int] = {}
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > _INODE_COLUMN and int(columns[_INODE_COLUMN]) in inodes:
            found[int(columns[_INODE_COLUMN])] = int(columns[-1])
    return found
