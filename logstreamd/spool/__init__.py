"""Batches on disk until they are stored: append, take, acknowledge.

============= ===============================================================================================
module         what it is
============= ===============================================================================================
interface      what every spool promises, and its errors
disk           the durable spool: the event loop's side
owner          the one thread that touches the files; ``messages`` is what the two say to each other, ``futures`` who
               waits for it
database       the open SQLite file; ``file_format`` what it looks like, ``rows`` its rows, ``limits`` its size,
               ``statements`` and ``sql/`` its SQL
directory      the private directory, its owner, its identity
salvage        a corrupt database is set aside and read out
memory         the same queue without a disk
window, room   the part in memory, and when inputs should pause
books          what it holds, in numbers; ``trouble`` says in the log when it takes no more
inspect        looking into a spool from outside, the daemon running or not
============= ===============================================================================================
"""

from __future__ import annotations

from logstreamd.spool.disk import DiskSpool
from logstreamd.spool.interface import (
    CorruptionReport,
    Spool,
    SpoolDirectoryError,
    Spooled,
    SpoolError,
    SpoolOwnedError,
    SpoolStats,
    SpoolVersionError,
)
from logstreamd.spool.memory import MemorySpool
from logstreamd.spool.trouble import SpoolTrouble

__all__ = [
    "CorruptionReport",
    "DiskSpool",
    "MemorySpool",
    "Spool",
    "SpoolDirectoryError",
    "SpoolError",
    "SpoolOwnedError",
    "SpoolStats",
    "SpoolTrouble",
    "SpoolVersionError",
    "Spooled",
]
