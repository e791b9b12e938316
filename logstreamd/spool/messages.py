"""What the event loop's thread and the spool's owner thread say to each other.

Commands go to the owner through a queue, events come back through ``call_soon_threadsafe``; both keep their
order, so that either side knows what the other had seen.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from logstreamd.spool.database import Usage
from logstreamd.spool.interface import CorruptionReport, Spooled, SpoolError
from logstreamd.spool.positions import PositionKey, Positions
from logstreamd.wire.batch import Batch

__all__ = [
    "Acknowledge",
    "Append",
    "Assign",
    "Broken",
    "Command",
    "Committed",
    "Corruption",
    "Event",
    "Forget",
    "Note",
    "Noted",
    "Opened",
    "Ping",
    "Pong",
    "Read",
    "ReadBack",
    "Ready",
    "Recount",
    "Recounted",
    "Salvaged",
    "Stop",
    "Stopped",
]


@dataclass(frozen=True, slots=True)
class Append:
    """Make a batch durable."""

    seq: int
    appended_at: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Delete batches."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Assign:
    """Remember a batch's number."""

    seq: int
    number: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget how far files were read that are gone."""

    keys: tuple[PositionKey, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Remember from where files are read; answered by :class:`Noted`."""

    positions: Positions


@dataclass(frozen=True, slots=True)
class Read:
    """Read batches in order, from the first one behind ``after``, as many as fit into ``max_bytes``."""

    after: int
    max_bytes: int
    at_least_one: bool


@dataclass(frozen=True, slots=True)
class Recount:
    """After a salvage: put back the batches that memory still holds, then count."""

    held: tuple[Spooled, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Say that the thread still turns."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Make everything durable and end."""


Command = Append | Acknowledge | Assign | Forget | Note | Read | Recount | Ping | Stop


@dataclass(frozen=True, slots=True)
class Opened:
    """The spool is open."""

    id: uuid.UUID
    next_seq: int
    last_seq: int
    usage: Usage
    cost: int
    positions: Positions


@dataclass(frozen=True, slots=True)
class Committed:
    """Appended batches are durable, acknowledged ones are gone."""

    appended: tuple[int, ...]
    deleted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """So many notes, the oldest first, are durable."""

    count: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The disk failed: these batches were not kept, and no more until :class:`Ready`."""

    appended: tuple[int, ...]
    error: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The file is open again after it was broken."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Batches read from the disk; everything up to ``reached`` has been looked at."""

    batches: tuple[Spooled, ...]
    reached: int


@dataclass(frozen=True, slots=True)
class Corruption:
    """Rows that could not be read are deleted and set aside."""

    report: CorruptionReport
    cost: int


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The database was corrupt and has been replaced by what could be read of it."""

    report: CorruptionReport


@dataclass(frozen=True, slots=True)
class Recounted:
    """What the spool holds after a salvage."""

    usage: Usage
    cost: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to :class:`Ping`."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The owner thread ends; asked to when ``error`` is None."""

    error: SpoolError | None


Event = Opened | Committed | Noted | Broken | Ready | ReadBack | Corruption | Salvaged | Recounted | Pong | Stopped
