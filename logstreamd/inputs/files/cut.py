"""Bytes of a file → records: a line, or the lines of a stack trace joined by line feeds.

A record ends where the next one begins, so the last one stays open until there is more, or until it is told that
nothing more will come for now. Nothing is kept between two calls: what was not cut is read again. A line ends with LF;
a CR before it and blank lines belong to no record.

Bounds: a record has at most ``max_record_lines`` lines and ``max_frame_bytes`` bytes; what goes beyond becomes a record
of its own. A single longer line is cut there and marked, and its rest is skipped.
"""

from __future__ import annotations

from typing import NamedTuple

from logstreamd.wire.batch import PARTIAL, TRUNCATED
from logstreamd.wire.stack_trace import continues, is_complete

__all__ = ["Cutter", "Record"]


class Record(NamedTuple):
    """One record of a file.

    Attributes:
        frame: its lines without the last line end.
        end: where the next record may begin, counted from the start of the buffer.
        flags: ``TRUNCATED`` | ``PARTIAL``.
        lines: how many lines it is made of.
    """

    frame: bytes
    end: int
    flags: int
    lines: int


class Cutter:
    """Cuts a buffer into records.

    Args:
        max_frame_bytes: the size of a record.
        max_record_lines: the lines of a record; 1 joins nothing.
    """

    def __init__(self, *, max_frame_bytes: int, max_record_lines: int) -> None:
        self.max_frame_bytes = max_frame_bytes
        self.max_record_lines = max_record_lines

    def cut(self, buffer: bytes, *, close: bool = False, last: bool = False) -> list[Record]:
        """Cut what is complete.

        Args:
            buffer: from the end of the last record on.
            close: give out the open record too: nothing has been added to it for a while.
            last: also give out a last line without its end: nothing will ever be added.
        """
        records: list[Record] = []
        open_record = _OpenRecord(self)
        start = 0
        while (end := buffer.find(b"\n", start)) >= 0:
            open_record.take(buffer[start:end], end + 1, records)
            start = end + 1
        if last and start < len(buffer):
            open_record.take(buffer[start:], len(buffer), records, PARTIAL)
        if close or last:
            open_record.emit(records)
        return records


class _OpenRecord:
    """The record that is being gathered."""

    def __init__(self, cutter: Cutter) -> None:
        self._max_bytes = cutter.max_frame_bytes
        self._max_lines = cutter.max_record_lines
        self._data = bytearray()
        self._lines = 0
        self._end = 0
        self._after_blank = False
        self.flags = 0

    def take(self, line: bytes, end: int, records: list[Record], flags: int = 0) -> None:
        """Add a line, or begin anew with it."""
        line = line.removesuffix(b"\r")
        if not line or line.isspace():
            self._blank(end, records)
            return
        if self._lines and not self._may_grow_by(line):
            self.emit(records)
        if self._lines:
            self._data += b"\n\n" if self._after_blank else b"\n"
        self._data += line[: self._max_bytes]
        self.flags |= flags | (TRUNCATED if len(line) > self._max_bytes else 0)
        self._lines += 1
        self._end, self._after_blank = end, False
        if self._max_lines == 1 or (self._lines == 1 and is_complete(line)):
            self.emit(records)

    def _blank(self, end: int, records: list[Record]) -> None:
        if self._lines:
            self._after_blank, self._end = True, end
        elif records:  # behind a record that is out already: it takes the blank line along
            records[-1] = records[-1]._replace(end=end)

    def _may_grow_by(self, line: bytes) -> bool:
        return (
            self._lines < self._max_lines
            and len(self._data) + len(line) + 2 <= self._max_bytes
            and continues(self._data, line, after_blank=self._after_blank)
        )

    def emit(self, records: list[Record]) -> None:
        """Give the record out, if there is one."""
        if self._lines:
            records.append(Record(bytes(self._data), self._end, self.flags, self._lines))
        self._data = bytearray()
        self._lines = self.flags = 0
        self._after_blank = False
