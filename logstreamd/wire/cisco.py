"""What Cisco's devices write before the stamp: ``[count:] [seq:] [host:] [*.]``, in any order they come in.

The counters go to ``attrs["cisco"]``; a ``*`` or ``.`` says that the device's clock is not synchronised, and
flags the row.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from logstreamd.record import Record
from logstreamd.wire.text import add_derived

__all__ = ["Prefix", "note_prefix", "scan_prefix"]

# Nothing, a number, or a name with a letter in it, closed by a colon and a blank (or the end).
_PART = re.compile(rb"([\w.-]{0,64}):(?: +|\Z)")
_MAX_PARTS = 3


class Prefix(NamedTuple):
    """A Cisco prefix: where it ends, its host, its numbers in order, and whether the clock was marked."""

    end: int
    host: bytes | None
    numbers: list[bytes]
    unsynchronised: bool


def scan_prefix(data: bytes, pos: int) -> Prefix | None:
    """Read the prefix that starts at ``pos``; it is for the caller to see whether a stamp follows it.

    Returns:
        The prefix, or None when there is not one.
    """
    start = pos
    host: bytes | None = None
    numbers: list[bytes] = []
    for _ in range(_MAX_PARTS):
        part = _PART.match(data, pos)
        if part is None:
            break
        word = part[1]
        if word.isdigit():
            numbers.append(word)
        elif word:
            if host is not None:
                break
            host = word
        pos = part.end()
    unsynchronised = data[pos : pos + 1] in (b"*", b".")
    pos += unsynchronised
    return Prefix(pos, host, numbers, unsynchronised) if pos > start else None


def note_prefix(record: Record, prefix: Prefix) -> None:
    """Keep a prefix's counters and flag a clock that is not synchronised."""
    names = ("message_counter", "sequence")
    # Numbers longer than 18 digits are no counters of a device, and stay what they are.
    counters = {
        name: int(number) if len(number) <= 18 else number.decode()
        for name, number in zip(names, prefix.numbers, strict=False)
    }
    if counters:
        add_derived(record, "cisco", counters)
    if prefix.unsynchronised:
        record.flag("clock_unsynchronised")
