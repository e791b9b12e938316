"""A collector beside a log that is written, rotated and read, with crashes; durable is what a batch took along."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from logstreamd.inputs.files.collector import Collector
from logstreamd.inputs.files.cut import Cutter
from logstreamd.inputs.files.discovery import Discovery
from logstreamd.wire.batch import FileKey, FilePosition

STEP_SECONDS = 0.1


class Reader:
    """The daemon's side: collects, makes batches durable, crashes and comes back."""

    def __init__(
        self, pattern: Path, *, max_frame_bytes: int = 1024, max_record_lines: int = 1, max_open: int = 8
    ) -> None:
        self.pattern = pattern
        self.options = {"max_frame_bytes": max_frame_bytes, "max_record_lines": max_record_lines}
        self.max_open = max_open
        self.now = 1000.0
        self.durable: list[bytes] = []
        self.flags: list[int] = []
        self.sources: list[str] = []
        self.positions: dict[FileKey, FilePosition] = {}
        self.gathered: list[tuple[bytes, int, str]] = []
        self.moved: dict[FileKey, FilePosition] = {}
        self.start()

    def start(self) -> None:
        self.gathered, self.moved = [], {}
        self.collector = Collector(
            Discovery([str(self.pattern)]),
            Cutter(**self.options),
            self.positions,
            join_timeout_seconds=STEP_SECONDS,
            max_open_files=self.max_open,
        )

    def look(self) -> None:
        self.now += STEP_SECONDS
        for key in self.collector.look(self.now):
            self.positions.pop(key, None)

    def turn(self) -> bool:
        self.now += STEP_SECONDS
        turn = self.collector.turn(self.now)
        self.moved.update(turn.moved)
        for reading in turn.readings:
            self.gathered += [(record.frame, record.flags, reading.position.path) for record in reading.records]
            self.moved[reading.file.key] = reading.position
        return turn.more or bool(turn.readings)

    def commit(self) -> None:
        """A batch becomes durable: records and positions in one step; positions alone never."""
        if self.gathered:
            for frame, flags, source in self.gathered:
                self.durable.append(frame)
                self.flags.append(flags)
                self.sources.append(source)
            self.positions.update(self.moved)
            self.gathered, self.moved = [], {}

    def crash(self) -> None:
        self.collector.close()
        self.start()

    def finish(self) -> None:
        """Read everything there is, with time for rotated files to count as finished."""
        for _ in range(3):
            self.look()
            self.now += 60
            while self.turn():
                pass
        self.commit()

    def times(self) -> Counter[bytes]:
        return Counter(self.durable)


class Writer:
    """An application that logs numbered lines, and what rotates its log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[bytes] = []
        self.clock = 1_700_000_000_000_000_000
        self.reopen()

    def reopen(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._tick()

    def write(self, count: int = 1, size: int = 30) -> None:
        for _ in range(count):
            line = b"line %06d " % len(self.written)
            line = line.ljust(size, b".")
            os.write(self.descriptor, line + b"\n")
            self.written.append(line)
        self._tick()

    def _tick(self) -> None:
        """A change a millisecond after the one before: times of a file system may be coarser than a test is quick."""
        self.clock += 1_000_000
        os.utime(self.descriptor, ns=(self.clock, self.clock))

    def write_half(self) -> bytes:
        """Begin a line; returns the rest of it."""
        line = b"line %06d half and whole" % len(self.written)
        self.written.append(line)
        os.write(self.descriptor, line[:15])
        self._tick()
        return line[15:] + b"\n"

    def write_rest(self, rest: bytes) -> None:
        os.write(self.descriptor, rest)
        self._tick()

    def shift(self, keep: int) -> None:
        """Make room for the name ``.1``, as logrotate does."""
        for number in range(keep, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                if number == keep:
                    older.unlink()
                else:
                    older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))

    def rename(self, keep: int = 5, *, reopen: bool = True) -> None:
        """Rotate by rename; who writes goes on with the old file until he reopens."""
        self.shift(keep)
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        if reopen:
            os.close(self.descriptor)
            self.reopen()

    def copy_and_truncate(self, keep: int = 5) -> None:
        self.shift(keep)
        copy = self.path.with_name(f"{self.path.name}.1")
        copy.write_bytes(self.path.read_bytes())
        self.clock += 1_000_000
        os.utime(copy, ns=(self.clock, self.clock))
        os.truncate(self.path, 0)
        self._tick()
