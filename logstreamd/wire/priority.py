"""``<PRI>``: facility x 8 + severity. Source: RFC 5424 section 6.2.1."""

from __future__ import annotations

__all__ = ["scan_priority"]

_MAX_PRIORITY = 191


def _spellings() -> dict[bytes, int]:
    return {str(priority).encode(): priority for priority in range(_MAX_PRIORITY + 1)}


# Looked up as bytes: no sign, no leading zero, no digit that is not ASCII, and nothing above 191 can get in.
_PRIORITIES = _spellings()


def scan_priority(frame: bytes) -> tuple[int, int] | None:
    """Read the PRI part at the start of a frame.

    Returns:
        The priority (0..191) and the offset just after ``>``; None when there is no valid one.
    """
    end = frame.find(b">", 1, 5)
    if end < 0 or not frame.startswith(b"<"):
        return None
    priority = _PRIORITIES.get(frame[1:end])
    return None if priority is None else (priority, end + 1)
