"""How far a client has come, as the text that it brings back after a break (``Last-Event-ID``).

======== ===============================================================================================
part     meaning
======== ===============================================================================================
``1``    version of the layout
at       when the round was, in seconds since the epoch
before   what was stored before the round: a snapshot of PostgreSQL (``xmin:xmax:xip,…``)
now      what was stored when the round asked
row id   the last row shown of what came between the two; not there when all of it was
======== ===============================================================================================

A round shows rows by their id, so what a client has seen is: all of ``before``, and of the rest of ``now`` the rows up
to that id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from logstreamd.query.errors import BadParameterError

__all__ = ["Position", "parse_position"]

_VERSION = "1"
_SNAPSHOT = re.compile(r"(\d{1,18}):(\d{1,18}):((?:\d{1,18}(?:,\d{1,18})*)?)", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_MAX_CHARS = 16_384  # two snapshots with some 400 transactions in progress in each


@dataclass(frozen=True, slots=True)
class Position:
    """How far a client has come.

    Attributes:
        at: seconds since the epoch.
        before: a snapshot whose rows were all shown.
        now: a later snapshot, or the same.
        row_id: of the rows between the two, those up to this id were shown.
    """

    at: int
    before: str
    now: str
    row_id: int = 0

    @classmethod
    def after(cls, snapshot: str, at: float) -> Position:
        """Return the position of who has seen everything up to a snapshot."""
        return cls(int(at), snapshot, snapshot)

    def round_until(self, snapshot: str, at: float) -> Position:
        """Return the position at the begin of the round that shows what came between this position and a snapshot."""
        return Position(int(at), self.now, snapshot)

    @property
    def prefix(self) -> str:
        """What the texts of all rows of a round begin with; the row's id follows."""
        return f"{_VERSION}~{self.at}~{self.before}~{self.now}~"

    def __str__(self) -> str:
        return f"{self.prefix}{self.row_id}"


def parse_position(text: str) -> Position:
    """Read a position back.

    Raises:
        BadParameterError: it is not one of ours.
    """
    if len(text) <= _MAX_CHARS:
        version, *parts = text.split("~")
        if version == _VERSION and len(parts) == 4:
            at, before, now, row_id = parts
            if _NUMBER.fullmatch(at) and _NUMBER.fullmatch(row_id) and _is_snapshot(before) and _is_snapshot(now):
                return Position(int(at), before, now, int(row_id))
    raise BadParameterError("Last-Event-ID", "must be the id of an event of this stream")


def _is_snapshot(text: str) -> bool:
    """Tell whether PostgreSQL takes a text for a ``pg_snapshot``."""
    found = _SNAPSHOT.fullmatch(text)
    if found is None:
        return False
    lowest, end = int(found[1]), int(found[2])
    running = [int(one) for one in found[3].split(",")] if found[3] else []
    inside = all(lowest <= one < end for one in running)
    return 0 < lowest <= end and inside and all(one < other for one, other in pairwise(running))
