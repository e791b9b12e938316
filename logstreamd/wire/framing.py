"""A byte stream → frames (RFC 6587), and what a datagram needs instead (RFC 5426).

How each message is framed is decided by its first bytes, so both ways may mix on one connection:

=================== ======================================= ==========================================
framing             begins with                             ends
=================== ======================================= ==========================================
octet counting      ``MSG-LEN SP`` and then ``<`` or ``{``  after MSG-LEN octets
non-transparent     anything else                           before LF, CRLF or NUL
=================== ======================================= ==========================================

So ``2025-07-29 12:34:56 ...`` and lines of digits are lines. Line ends between frames are skipped; an empty
line, or the single blank that some firewalls put behind their LF, is not a message. A count beyond any
plausible one is not believed: its text is a line, and the stream finds its way again at the next LF.

Invariants: every frame's bytes are in exactly one batch row; nothing is held but the beginning of one frame,
at most ``max_frame_bytes`` + 1 bytes of it; no byte is looked at more than a fixed number of times, however the
stream is cut into reads.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch

__all__ = ["Framer", "trim_datagram"]

_LINE_ENDS = b"\r\n\0"
_START = re.compile(rb"[^\r\n\0]")

PLAUSIBLE_FACTOR = 16
"""A count of up to 16 times the limit is a long message, cut and skipped; beyond, it is no count."""


class _State(Enum):
    START = auto()
    """Between frames; or inside the digits that may turn out to be a count, which are held."""
    LINE = auto()
    """Inside a line, its beginning held."""
    COUNTED = auto()
    """Inside a counted frame, its beginning held."""
    SKIP_LINE = auto()
    """Behind the part of a long line that was kept."""
    SKIP_COUNTED = auto()
    """Behind the part of a long counted frame that was kept."""


class Framer:
    """Cuts one connection's bytes into frames; does no I/O.

    Args:
        max_frame_bytes: bytes of one frame that are kept; the rest of it is skipped and the frame flagged
            ``TRUNCATED``.
    """

    __slots__ = ("_count", "_held", "_max", "_max_head", "_pending", "_state")

    def __init__(self, *, max_frame_bytes: int = 65_536) -> None:
        if max_frame_bytes < 1:
            raise ValueError(f"max_frame_bytes must be at least 1 (got {max_frame_bytes})")
        self._max = max_frame_bytes
        # The digits of the largest count believed, the blank and the byte after it decide the framing.
        self._max_head = len(str(max_frame_bytes * PLAUSIBLE_FACTOR)) + 2
        self._state = _State.START
        self._held = bytearray()
        self._count = 0
        """Octets of a counted frame that are kept."""
        self._pending = 0
        """Octets of a counted frame that have not arrived."""

    @property
    def mid_frame(self) -> bool:
        """Whether the stream stands inside a frame (also behind the kept part of one that is too long)."""
        return self._state is not _State.START or bool(self._held)

    def split(self, data: bytes | bytearray | memoryview, batch: Batch, peer_id: int, received_at: int) -> int:
        """Append the frames that ``data`` completes to a batch.

        Args:
            data: the next bytes of the stream.
            batch: takes the frames until it is full.
            peer_id: the sender's index in this batch.
            received_at: arrival, microseconds since the epoch.

        Returns:
            How many bytes were consumed: all of them, or fewer when the batch is full; the rest is for the
            next batch.
        """
        chunk = _Chunk(bytes(data), batch, peer_id, received_at)
        size = len(chunk.data)
        while chunk.pos < size and not batch.full:
            if self._state is _State.START:
                self._begin(chunk)
            elif self._state is _State.LINE:
                self._continue_line(chunk)
            elif self._state is _State.COUNTED:
                self._continue_counted(chunk)
            elif self._state is _State.SKIP_LINE:
                self._skip_line(chunk)
            else:
                self._skip_counted(chunk)
        return chunk.pos

    def finish(self, batch: Batch, peer_id: int, received_at: int) -> None:
        """Append what is held at the end of the connection: at most one frame, so the batch must not be full.

        A line without its LF is a message; a counted frame that did not arrive whole is flagged ``PARTIAL``.
        """
        chunk = _Chunk(b"", batch, peer_id, received_at)
        if self._state is _State.COUNTED:
            chunk.append(bytes(self._held), PARTIAL)
        elif self._held:
            self._append_line(chunk, bytes(self._held))
        self._reset()

    def _reset(self) -> None:
        self._state = _State.START
        self._held.clear()

    def _begin(self, chunk: _Chunk) -> None:
        """Decide how the message at the chunk's position is framed."""
        if not self._held:
            start = _START.search(chunk.data, chunk.pos)
            chunk.pos = len(chunk.data) if start is None else start.start()
            if start is None:
                return
        fresh = chunk.data[chunk.pos : chunk.pos + self._max_head]
        head = bytes(self._held) + fresh
        count = self._read_count(head)
        if count is None:
            self._held += fresh
            chunk.pos += len(fresh)
            return
        if count == 0:
            self._state = _State.LINE
            self._continue_line(chunk)
            return
        chunk.pos += head.index(b" ") + 1 - len(self._held)
        self._held.clear()
        self._state = _State.COUNTED
        self._count, self._pending = min(count, self._max), count
        self._continue_counted(chunk)

    def _read_count(self, head: bytes) -> int | None:
        """Read MSG-LEN from the first bytes of a message.

        Returns:
            The count, 0 when the message is a line, or None when more bytes have to decide.
        """
        digits = len(head) - len(head.lstrip(b"0123456789"))
        if digits == 0 or head[0] == 0x30 or digits > self._max_head - 2:
            return 0
        if digits == len(head) or (digits + 1 == len(head) and head[digits] == 0x20):
            return None
        if head[digits] != 0x20 or head[digits + 1] not in b"<{":
            return 0
        count = int(head[:digits])
        return count if count <= self._max * PLAUSIBLE_FACTOR else 0

    def _continue_line(self, chunk: _Chunk) -> None:
        end = chunk.line_end()
        room = self._max + 1 - len(self._held)
        if end == len(chunk.data) and end - chunk.pos <= room:
            self._held += chunk.data[chunk.pos : end]
            chunk.pos = end
            return
        # One byte over the limit may still be the CR of a CRLF; two make the line too long.
        kept_end = min(end, chunk.pos + room + 1)
        line = chunk.data[chunk.pos : kept_end]
        if self._held:
            line = bytes(self._held) + line
        self._reset()
        if kept_end < end or end == len(chunk.data):
            self._state = _State.SKIP_LINE
            chunk.pos = kept_end
        else:
            chunk.pos = end + 1
        self._append_line(chunk, line)

    def _append_line(self, chunk: _Chunk, line: bytes) -> None:
        if line.endswith(b"\r") and len(line) <= self._max + 1:
            line = line[:-1]
        if len(line) > self._max:
            chunk.append(line[: self._max], TRUNCATED)
        elif line != b" ":
            chunk.append(line)

    def _skip_line(self, chunk: _Chunk) -> None:
        end = chunk.line_end()
        if end < len(chunk.data):
            end += 1
            self._state = _State.START
        chunk.pos = end

    def _continue_counted(self, chunk: _Chunk) -> None:
        wanted = self._count - len(self._held)
        piece = chunk.data[chunk.pos : chunk.pos + wanted]
        chunk.pos += len(piece)
        self._pending -= len(piece)
        if len(piece) < wanted:
            self._held += piece
            return
        frame = bytes(self._held) + piece if self._held else piece
        self._reset()
        if self._pending:
            self._state = _State.SKIP_COUNTED
        chunk.append(frame, TRUNCATED if self._pending else 0)

    def _skip_counted(self, chunk: _Chunk) -> None:
        skipped = min(self._pending, len(chunk.data) - chunk.pos)
        chunk.pos += skipped
        self._pending -= skipped
        if not self._pending:
            self._state = _State.START


class _Chunk:
    """One read: its bytes, how far they are consumed, and where their frames go."""

    __slots__ = ("_batch", "_lf", "_nul", "_peer_id", "_received_at", "data", "pos")

    def __init__(self, data: bytes, batch: Batch, peer_id: int, received_at: int) -> None:
        self.data = data
        self.pos = 0
        self._batch = batch
        self._peer_id = peer_id
        self._received_at = received_at
        # The next LF and NUL: kept until they are passed, so that many lines with one kind of end cost one
        # search each.
        self._lf = -1
        self._nul = -1

    def line_end(self) -> int:
        """Return where the line at the position ends: the offset of its LF or NUL, or the length of the data."""
        if self._lf < self.pos:
            self._lf = self._find(b"\n")
        if self._nul < self.pos:
            self._nul = self._find(b"\0")
        return min(self._lf, self._nul)

    def _find(self, byte: bytes) -> int:
        found = self.data.find(byte, self.pos)
        return len(self.data) if found < 0 else found

    def append(self, frame: bytes, flags: int = 0) -> None:
        """Append one frame to the batch."""
        self._batch.append(frame, self._received_at, self._peer_id, flags)


def trim_datagram(data: bytes, max_frame_bytes: int = 65_536) -> tuple[bytes, int]:
    """Make a frame of one datagram: line ends and NULs at its end are no part of the message.

    Args:
        data: a datagram of at least one byte; one of line ends only becomes an empty frame, and a row.
        max_frame_bytes: bytes that are kept.

    Returns:
        The frame and its flags.

    Source: RFC 5426 section 3.1 (one message per datagram, never split at a line end).
    """
    frame = data.rstrip(_LINE_ENDS)
    if len(frame) > max_frame_bytes:
        return frame[:max_frame_bytes], TRUNCATED
    return frame, 0
