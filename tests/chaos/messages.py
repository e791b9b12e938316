"""The messages of the chaos tests: each says who sent it, which one it is, and whether it is whole."""

from __future__ import annotations

import re
from typing import NamedTuple
from zlib import crc32

__all__ = ["Stamp", "frame", "read_stamp", "stamped"]

_STAMPED = re.compile(r"(run=(\S+) s=(\S+) n=(\d+)) c=([0-9a-f]{8})(?: (\.*))?")


class Stamp(NamedTuple):
    """Which message it is."""

    run: str
    sender: str
    number: int


def stamped(stamp: Stamp, padding: int = 0) -> str:
    """Return the text of a message: its stamp, a checksum and so many dots."""
    text = f"run={stamp.run} s={stamp.sender} n={stamp.number}"
    dots = "." * padding
    return f"{text} c={crc32(f'{text} {dots}'.encode()):08x} {dots}".rstrip(" ")


def frame(stamp: Stamp, padding: int = 0) -> bytes:
    """Return the message as RFC 5424, without transport framing."""
    return f"<14>1 - chaos.example chaos - - - {stamped(stamp, padding)}".encode()


def read_stamp(message: str) -> Stamp | None:
    """Read a message back; None when it is not, byte for byte, what :func:`stamped` made."""
    found = _STAMPED.fullmatch(message)
    if found is None:
        return None
    text, run, sender, number, checksum, dots = found.groups()
    if crc32(f"{text} {dots or ''}".encode()) != int(checksum, 16):
        return None
    return Stamp(run, sender, int(number))
