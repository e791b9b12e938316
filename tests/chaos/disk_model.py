"""What may be on a disk after a power cut, given everything it was told before.

Only what was followed by an fsync is there for certain. Of the rest any part may be, in any order, and a write may be
torn at 512 bytes. Names (created, renamed, removed) reach the disk in order, as with a journalling file system, and are
there for certain after an fsync of the directory or of the file itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Disk", "Operation", "read_log"]

SECTOR_BYTES = 512


@dataclass(frozen=True)
class Operation:
    """One thing the disk was told."""

    kind: str
    name: str
    offset: int = 0
    data: bytes = b""
    new_name: str = ""


def read_log(log: Path) -> Iterator[Operation]:
    """Read what ``recorder.c`` wrote."""
    content = log.read_bytes()
    position = 0
    while position < len(content):
        end = content.index(b"\n", position)
        kind, name, offset, last = content[position:end].decode().split(" ")
        position = end + 1
        if kind == "R":
            yield Operation(kind, name, new_name=last)
            continue
        yield Operation(kind, name, int(offset), content[position : position + int(last)])
        position += int(last)


@dataclass
class _File:
    """One file's bytes, whatever its name is."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def settle(self) -> None:
        for operation in self.pending:
            _apply(self.durable, operation)
        self.pending.clear()

    def after_a_cut(self, rng: random.Random) -> bytes:
        """Return its bytes with any part of what was pending."""
        content = bytearray(self.durable)
        share = rng.choice([0.0, 0.5, 0.9, 1.0])
        for operation in self.pending:
            if rng.random() < share:
                _apply(content, operation)
            elif rng.random() < 0.5:
                _apply_torn(content, operation, rng)
        return bytes(content)


class Disk:
    """Takes operations, and tells what may be left of them."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._pending_names: list[dict[str, _File]] = []

    def do(self, operation: Operation) -> None:
        """Take the next operation."""
        match operation.kind:
            case "D":
                self._settle_names()
            case "S":
                self._names[operation.name].settle()
                self._settle_names()
            case "C" | "R" | "U":
                self._change_names(operation)
            case _:
                self._file(operation.name).pending.append(operation)

    def _file(self, name: str) -> _File:
        if name not in self._names:
            self._names = {**self._names, name: _File()}
            self._pending_names.append(self._names)
        return self._names[name]

    def _change_names(self, operation: Operation) -> None:
        names = dict(self._names)
        if operation.kind == "C":
            names[operation.name] = _File()
        elif operation.kind == "R":
            names[operation.new_name] = names.pop(operation.name)
        else:
            names.pop(operation.name, None)
        self._names = names
        self._pending_names.append(names)

    def _settle_names(self) -> None:
        self._durable_names = self._names
        self._pending_names.clear()

    def cut(self, directory: Path, rng: random.Random) -> None:
        """Leave in a new directory what may be there after a power cut now."""
        directory.mkdir(mode=0o700)
        for name, file in rng.choice([self._durable_names, *self._pending_names]).items():
            path = directory / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(file.after_a_cut(rng))
            path.chmod(0o600)


def _apply(content: bytearray, operation: Operation) -> None:
    if operation.kind == "T":
        del content[operation.offset :]
        content.extend(bytes(operation.offset - len(content)))
        return
    end = operation.offset + len(operation.data)
    content.extend(bytes(max(0, end - len(content))))
    content[operation.offset : end] = operation.data


def _apply_torn(content: bytearray, operation: Operation, rng: random.Random) -> None:
    """Apply some of the sectors of a write."""
    for start in range(0, len(operation.data), SECTOR_BYTES):
        if rng.random() < 0.5:
            data = operation.data[start : start + SECTOR_BYTES]
            _apply(content, Operation("W", operation.name, operation.offset + start, data))
