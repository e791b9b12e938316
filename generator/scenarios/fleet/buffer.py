"""What waits for the receiver: in memory to be sent, in a file to survive this process.

::

    edge-1.buffer   NUMBER JSON\\n ...           appended; made anew without the delivered lines when it is full
    edge-1.state    {"id", "delivered", "attempting"}   replaced as a whole

Lines are numbered, so the two files need not change at the same moment: a line is waiting if its number is above
``delivered``. What is to be sent next is fixed in ``attempting`` before the first attempt. However often a batch is
sent, by this process or the one after a crash, it holds the same lines under the same name, and the receiver can tell.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

__all__ = ["Batch", "Buffer"]


class Batch(NamedTuple):
    """Lines that are sent together.

    Attributes:
        key: names these lines, and no others ever.
        last: the number of the last line.
    """

    key: str
    last: int
    lines: list[str]


class Buffer:
    """Keeps lines in order until they are delivered.

    Args:
        directory: for the two files; made where it is missing.
        name: of the files.
        max_bytes: of the file; more is not taken.

    Raises:
        OSError: the files can't be used.
        ValueError: the state is damaged.
    """

    def __init__(self, directory: Path, name: str, *, max_bytes: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{name}.buffer"
        self._state_path = directory / f"{name}.state"
        self._max_bytes = max_bytes
        state = json.loads(self._state_path.read_text()) if self._state_path.exists() else {}
        self._id = state.get("id") or token_hex(8)
        self._delivered = int(state.get("delivered", 0))
        self._attempting = int(state.get("attempting", 0))
        self._waiting = deque(_read_waiting(self._path, self._delivered))
        self._last = self._waiting[-1][0] if self._waiting else self._delivered
        self._bytes = 0
        self._holds_delivered = False
        self._lock = _lock(directory / f"{name}.lock")
        self._descriptor = self._rewrite()
        self._write_state()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_number(self) -> int:
        """The number that the next line gets."""
        return self._last + 1

    def try_append(self, lines: Sequence[str]) -> bool:
        """Take lines, all or none.

        Returns:
            False when there is no room.

        Raises:
            OSError: they can't be written; none is taken.
        """
        numbered = list(enumerate(lines, start=self.next_number))
        data = _encode(numbered)
        if self._bytes + len(data) > self._max_bytes and self._holds_delivered:
            before, self._descriptor = self._descriptor, self._rewrite()
            os.close(before)
        if self._bytes + len(data) > self._max_bytes:
            return False
        self._write(data)
        self._waiting.extend(numbered)
        self._last += len(numbered)
        return True

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
            if written < len(data):
                raise OSError(f"{self._path}: only {written} of {len(data)} bytes were written")
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._bytes)
            raise
        self._bytes += len(data)

    def next_batch(self, most: int) -> Batch | None:
        """Return what is to be sent next; the same until it is delivered. None when nothing waits."""
        if not self._waiting:
            return None
        if self._attempting <= self._delivered:
            self._attempting = self._waiting[min(most, len(self._waiting)) - 1][0]
            self._write_state()
        lines = [line for _, line in islice(self._waiting, self._attempting - self._delivered)]
        return Batch(f"{self._id}-{self._delivered + 1}-{self._attempting}", self._attempting, lines)

    def note_delivered(self, last: int) -> None:
        """Forget the lines up to a number."""
        while self._waiting and self._waiting[0][0] <= last:
            self._waiting.popleft()
        self._delivered = last
        self._holds_delivered = True
        self._write_state()
        if not self._waiting:
            os.ftruncate(self._descriptor, 0)
            self._bytes = 0
            self._holds_delivered = False

    def close(self) -> None:
        """Close the file; what waits is there for the next run."""
        os.close(self._descriptor)
        os.close(self._lock)

    def _rewrite(self) -> int:
        """Replace the file by one with the waiting lines alone; return its descriptor."""
        new = self._path.with_suffix(".new")
        data = _encode(self._waiting)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0, closefd=False) as file:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        os.fsync(descriptor)
        new.replace(self._path)
        self._bytes = len(data)
        self._holds_delivered = False
        return descriptor

    def _write_state(self) -> None:
        new = self._state_path.with_suffix(".state-new")
        state = {"id": self._id, "delivered": self._delivered, "attempting": self._attempting}
        with new.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._state_path)


def _lock(path: Path) -> int:
    """Keep other processes from the buffer; the lock ends with this one, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(descriptor)
        raise OSError(f"{path.stem} is in use by another process") from problem
    return descriptor


def _encode(numbered: Iterable[tuple[int, str]]) -> bytes:
    return "".join(f"{number} {line}\n" for number, line in numbered).encode()


def _read_waiting(path: Path, delivered: int) -> Iterable[tuple[int, str]]:
    """Yield the lines of a file that are not delivered; half a line at the end was never taken."""
    if not path.exists():
        return
    *lines, _half = path.read_bytes().split(b"\n")
    for line in lines:
        number, _, text = line.decode().partition(" ")
        if int(number) > delivered:
            yield int(number), text
