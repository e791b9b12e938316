"""A copy of what was collected: for each source a file of JSON lines, rotated by size, and ``collection_stats.json``.

For people and for programs that read files. The copy follows what is read, not what is stored: after a kill some
records may be in it twice. A disk that fails here costs the copy, never the collection.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from logstreamd.inputs.files.followed import Reading
from logstreamd.record import LEVELS, Record
from logstreamd.wire.file_line import parse_line
from logstreamd.wire.policy import Policy

__all__ = ["Mirror"]

_log = structlog.get_logger(__name__)

STATISTICS_SECONDS = 30.0
"""How often ``collection_stats.json`` is written."""


class Mirror:
    """Writes the copy; used on the input's thread.

    Args:
        directory: made when it is missing.
        max_bytes: of a file, then it is rotated.
        files: rotated ones kept of each source.
        policy: how lines are read; may be replaced at any time.
    """

    def __init__(self, directory: Path, *, max_bytes: int, files: int, policy: Policy) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._files = files
        self.policy = policy
        self._problem: str | None = None

    def write(self, readings: Iterable[Reading], read_at: int) -> None:
        """Add the records of some readings.

        Args:
            readings: of one turn.
            read_at: when, microseconds since the epoch.
        """
        try:
            for reading in readings:
                self._append(reading, read_at)
            self._problem = None
        except OSError as error:
            self._note(error)

    def write_statistics(self, statistics: dict[str, Any]) -> None:
        """Replace ``collection_stats.json``."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            fresh = self._directory / "collection_stats.json.new"
            fresh.write_text(json.dumps(statistics, indent=2) + "\n", encoding="utf-8")
            fresh.replace(self._directory / "collection_stats.json")
        except OSError as error:
            self._note(error)

    def _append(self, reading: Reading, read_at: int) -> None:
        source = reading.file.source
        lines = [self._line(record.frame, read_at, record.flags, source) for record in reading.records]
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / mirror_name(source)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
            size = file.tell()
        if size >= self._max_bytes:
            self._rotate(path)

    def _line(self, frame: bytes, read_at: int, flags: int, source: str) -> str:
        return (
            json.dumps(_as_document(parse_line(frame, read_at, self.policy, flags, source)), ensure_ascii=False) + "\n"
        )

    def _rotate(self, path: Path) -> None:
        for number in range(self._files - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))

    def _note(self, error: OSError) -> None:
        """Say it once, until it works again."""
        if self._problem is None:
            _log.warning("the mirror can't be written", directory=str(self._directory), problem=str(error))
        self._problem = str(error)


def mirror_name(source: str) -> str:
    """Return the name of a source's file: its own name, made different for each directory."""
    raw = os.fsencode(source)
    name = os.path.basename(source).encode("utf-8", "backslashreplace").decode()  # noqa: PTH119
    return f"{name[:100]}-{zlib.crc32(raw):08x}.jsonl"


def _as_document(record: Record) -> dict[str, Any]:
    moment = datetime.fromtimestamp(record.ts / 1_000_000, UTC)
    columns = {
        "timestamp": moment.isoformat(),
        "level": LEVELS[record.severity],
        "service": record.service,
        "host": record.host,
        "trace_id": record.trace_id,
        "message": record.message,
    }
    return {**{name: value for name, value in columns.items() if value is not None}, "attrs": record.attrs}
