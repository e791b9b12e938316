"""The TAG of RFC 3164 section 4.1.3 as it is found: ``name:``, ``name[pid]:``, ``name[pid]``."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Tag", "is_address", "scan_tag"]

# The tag of nearly every line; what this pattern takes, the scan below would take in the same way.
_COMMON = re.compile(rb"([A-Za-z_/][\w./()-]*)(?:\[([\w.-]*)\])?:(?: |\Z)")
_CONTROL_OR_QUOTE = re.compile(rb'[\x00-\x20\x7f="]')
_CONTROL = re.compile(rb"[\x00-\x20\x7f]")
_ADDRESS = re.compile(rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f.]{0,15}){2,8}")


class Tag(NamedTuple):
    """A tag: its name, the process id if it has one, and where the message starts (one blank skipped)."""

    name: bytes
    proc_id: bytes | None
    end: int


def is_address(word: bytes) -> bool:
    """Whether a word is an IPv4 or IPv6 address, or looks like one: that is a host, never a program."""
    return _ADDRESS.fullmatch(word) is not None


def scan_tag(data: bytes, pos: int) -> Tag | None:
    """Read the tag that starts at ``pos``; None when the word there is not marked as one."""
    common = _COMMON.match(data, pos)
    if common is not None:
        return Tag(common[1], common[2], common.end())
    end = data.find(b" ", pos)
    word = data[pos:] if end < 0 else data[pos:end]
    colon, bracket = word.find(b":"), word.find(b"[")
    if bracket > 0 and (word.endswith(b"]:") or colon < 0 or bracket < colon):
        return _with_proc_id(data, pos, word, bracket)
    return _with_colon(data, pos, word, colon) if colon > 0 else None


def _with_proc_id(data: bytes, pos: int, word: bytes, bracket: int) -> Tag | None:
    close = word.find(b"]", bracket)
    name = word[:bracket]
    if close < 0 or name.endswith(b":") or _CONTROL.search(name) or is_address(name):
        return None
    if word[close + 1 : close + 2] not in (b"", b":"):
        return None
    after = pos + close + 1
    return Tag(name, word[bracket + 1 : close], _message_start(data, after + data.startswith(b":", after)))


def _with_colon(data: bytes, pos: int, word: bytes, colon: int) -> Tag | None:
    name, glued = word[:colon], word[colon + 1 :]
    if _CONTROL_OR_QUOTE.search(name) or is_address(name):
        return None
    # A time, a URL, a drive letter and an event format have a colon too; none of them is a tag.
    is_path = glued.startswith(b"//") or (len(name) == 1 and glued[:1] in (b"\\", b"/"))
    if glued and (is_path or name.isdigit() or name in (b"CEF", b"LEEF")):
        return None
    return Tag(name, None, _message_start(data, pos + colon + 1))


def _message_start(data: bytes, pos: int) -> int:
    return pos + 1 if data[pos : pos + 1] == b" " else pos
