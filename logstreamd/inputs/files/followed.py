"""One followed file: how far it is read, and whether it is still the same content.

A position is the offset of the first byte that is in no batch yet, with an *anchor*: a digest of the last bytes before
it. Every read begins with these bytes. Are they others, the file was truncated and written anew, or its inode belongs
to another file now; that is noticed however much has been written since.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field

from logstreamd.inputs.files.cut import Cutter, Record
from logstreamd.wire.batch import TRUNCATED, FileKey, FilePosition
from logstreamd.wire.batch_codec import ANCHOR_BYTES

__all__ = ["ANCHOR_SPAN", "ContentChangedError", "FollowedFile", "Reading", "anchor_of"]

ANCHOR_SPAN = 256
"""Bytes before the offset that are compared: some lines of a log, with their times."""

_SCAN_BYTES = 1 << 20  # at a time, for the end of a line that is too long to keep


class ContentChangedError(Exception):
    """What lies before the position is not what was read."""


@dataclass(slots=True)
class Reading:
    """What one read found.

    Attributes:
        file: of which file.
        records: whole records; ``end`` counts from ``base``.
        base: the offset of the buffer's first byte.
        buffer: the bytes that were read, from ``base`` on.
        position: how far the file is read when all records are in a batch.
        at_end: whether the end of the file was reached.
    """

    file: FollowedFile
    records: list[Record]
    base: int
    buffer: bytes
    position: FilePosition
    at_end: bool = True

    def position_after(self, record: Record) -> FilePosition:
        """Return how far the file is read when this record is in a batch, and none behind it."""
        return self.file.position_at(self.base + record.end, _span_before(self.buffer, record.end))


@dataclass(slots=True)
class FollowedFile:
    """A file that is read, and what is known of it.

    Attributes:
        position: up to where it is in batches; its path is the name the file is followed by.
        path: its present name.
        is_live: whether that is still the name it is followed by.
        size: as of the last look.
        mtime_ns: as of the last look.
        changed_at: when it was last seen to have changed, by the caller's clock.
        seen: what the last read to the end of the file found: how large it was, and how much was given out; such a
            read is not repeated.
        is_checked: whether its content was compared with the anchor since it changed.
        was_live: whether it had its name when that was done last.
        missing_since: when it was first not found any more; None while it is there.
    """

    position: FilePosition
    path: str
    is_live: bool = True
    size: int = 0
    mtime_ns: int = 0
    changed_at: float = 0.0
    seen: tuple[int, bool, bool] | None = None
    is_checked: bool = False
    was_live: bool = True
    missing_since: float | None = None
    descriptor: int | None = None
    records: int = 0
    lines: int = 0
    rotations: int = 0
    error: str | None = None
    _scanned_to: int = field(default=0)

    @property
    def key(self) -> FileKey:
        """Device and inode."""
        return self.position.key

    @property
    def source(self) -> str:
        """The name it is followed by; its rows carry it whatever the file is called by now."""
        return self.position.path

    @property
    def lag_bytes(self) -> int:
        """Bytes that are in no batch yet."""
        return max(0, self.size - self.position.offset)

    def position_at(self, offset: int, before: bytes) -> FilePosition:
        """Return a position in this file.

        Args:
            offset: where.
            before: bytes that end there, at least :data:`ANCHOR_SPAN` or all of them.
        """
        return FilePosition(*self.key, offset, anchor_of(before), self.source)

    def position_here(self, offset: int) -> FilePosition:
        """Return a position in this file, which is open."""
        span = min(ANCHOR_SPAN, offset)
        return self.position_at(offset, os.pread(self._opened(), span, offset - span))

    def restart(self) -> None:
        """Begin at the start again: the content is a new one."""
        self.position = FilePosition(*self.key, 0, anchor_of(b""), self.source)
        self.seen, self._scanned_to = None, 0
        self.rotations += 1

    def open(self) -> None:
        """Open it, if it is not.

        Raises:
            OSError: it can't be opened, or has been replaced by another file since the last look.
        """
        if self.descriptor is not None:
            return
        # Non-blocking: what was a file a moment ago may be a FIFO now.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) != self.key:
            os.close(descriptor)
            raise FileNotFoundError(f"{self.path} is another file now")
        self.descriptor = descriptor

    def close(self) -> None:
        """Let go of it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def size_now(self) -> int:
        """Ask the open file for its size; a network file system may have forgotten it, then it stays what it was."""
        try:
            return os.fstat(self._opened()).st_size
        except OSError:
            return self.size

    def holds(self, offset: int, anchor: bytes) -> bool:
        """Whether the bytes before an offset have this anchor."""
        span = min(ANCHOR_SPAN, offset)
        return anchor_of(os.pread(self._opened(), span, offset - span)) == anchor

    def read(self, cutter: Cutter, max_bytes: int, *, close: bool, last: bool) -> Reading:
        """Read on from the position.

        Args:
            cutter: cuts it into records.
            max_bytes: of new content; more than twice the size of a record.
            close: give out a record that may not be complete, when the end of the file is reached.
            last: give out a last line without its end, too.

        Raises:
            ContentChangedError: the file is not what it was.
            OSError: it can't be read.
        """
        offset = self.position.offset
        span = min(ANCHOR_SPAN, offset)
        buffer = os.pread(self._opened(), span + max_bytes, offset - span)
        if len(buffer) < span or anchor_of(buffer[:span]) != self.position.anchor:
            raise ContentChangedError
        self.is_checked, self.was_live = True, self.is_live
        if offset == 0 and buffer.startswith(b"\0"):
            return self._skip_hole(buffer)
        at_end = len(buffer) < span + max_bytes
        records = cutter.cut(buffer[span:], close=close and at_end, last=last and at_end)
        if not records and not at_end:
            return self._read_long_line(cutter, buffer, span)
        records = [record._replace(end=record.end + span) for record in records]
        end = records[-1].end if records else span
        position = self.position_at(offset - span + end, _span_before(buffer, end))
        return Reading(self, records, offset - span, buffer, position, at_end)

    def _skip_hole(self, buffer: bytes) -> Reading:
        """Skip the NULs at the beginning: who writes on at his old offset after a truncation leaves a hole there."""
        try:
            start = os.lseek(self._opened(), 0, os.SEEK_DATA)
        except OSError:  # all of it is a hole
            start = self.size
        block = os.pread(self._opened(), len(buffer), start)  # the hole ends with a block, not with the last NUL
        start += len(block) - len(block.lstrip(b"\0"))
        before = os.pread(self._opened(), min(ANCHOR_SPAN, start), max(0, start - ANCHOR_SPAN))
        return Reading(self, [], start, b"", self.position_at(start, before), at_end=False)

    def _read_long_line(self, cutter: Cutter, buffer: bytes, span: int) -> Reading:
        """Keep the beginning of a line that is longer than the buffer, once its end is there."""
        base = self.position.offset
        at = max(self._scanned_to, base + len(buffer) - span)
        while chunk := os.pread(self._opened(), _SCAN_BYTES, at):
            found = chunk.find(b"\n")
            if found >= 0:
                end = at + found + 1
                before = os.pread(self._opened(), ANCHOR_SPAN, end - ANCHOR_SPAN)
                record = Record(buffer[span : span + cutter.max_frame_bytes], ANCHOR_SPAN, TRUNCATED, 1)
                self._scanned_to = 0
                return Reading(self, [record], end - ANCHOR_SPAN, before, self.position_at(end, before), at_end=False)
            at += len(chunk)
        self._scanned_to = at
        return Reading(self, [], base, b"", self.position)

    def _opened(self) -> int:
        if self.descriptor is None:
            raise FileNotFoundError(f"{self.path} is not open")
        return self.descriptor


def _span_before(buffer: bytes, end: int) -> bytes:
    return buffer[max(0, end - ANCHOR_SPAN) : end]


def anchor_of(before: bytes) -> bytes:
    """Return the anchor of an offset, from the bytes before it."""
    return hashlib.blake2b(before[-ANCHOR_SPAN:], digest_size=ANCHOR_BYTES).digest()
