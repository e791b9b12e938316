"""Patterns → the files there are, and which of them are the rotated past of another.

=========================================== ==================================================================
``app.log`` matches a pattern               is followed
``app.log.1``, ``app.log-20261122``,        beside ``app.log``: its past, read only as far as something of it is
``app-20261122.log``, ``app.log.old``       missing, whether a pattern matches it or not
``app.log.2.gz``                            compressed: never read
a directory, a FIFO, a socket, a device     never read, and said once in ``/status``
a symlink                                   what it points to; of two names for a file the first in order counts
=========================================== ==================================================================
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from logstreamd.wire.batch import FileKey

__all__ = ["Discovery", "Found"]

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z", ".lzma", ".tgz")
# What rotation adds: behind the name, or before the extension (dates only: worker-1.log is no past of worker.log).
_SUFFIX = re.compile(r"(?:[.\-_]\d[\d.\-_T:]*|\.old|\.bak|\.prev)$")
_DATE_INSIDE = re.compile(r"[.\-_](?:\d{8}|\d{4}-\d\d-\d\d)[\d.\-_T:]*(?=\.[^.]*$)")


class Found(NamedTuple):
    """A file that lies there now.

    Attributes:
        path: its name.
        key: device and inode.
        size: in bytes.
        mtime_ns: when it was last written.
        past_of: the name whose rotated past it is; None for a file that is followed in its own right.
    """

    path: str
    key: FileKey
    size: int
    mtime_ns: int
    past_of: str | None


class Discovery:
    """Looks for files.

    Args:
        patterns: absolute patterns; ``**`` means any depth of directories.
        excluded: a directory nothing in which is read: our own mirror must not feed itself.
    """

    def __init__(self, patterns: Iterable[str], excluded: Path | None = None) -> None:
        self._patterns = tuple(patterns)
        self._excluded = None if excluded is None else f"{excluded}{os.sep}"
        self.problems: dict[str, str] = {}
        """What lies there and is not read, with the reason, as of the last look."""

    @property
    def directories(self) -> set[str]:
        """The directories in which new files may appear, as far as they can be named."""
        return {os.path.dirname(pattern) for pattern in self._patterns if not glob.has_magic(os.path.dirname(pattern))}  # noqa: PTH120

    def look(self, known: Iterable[str] = ()) -> list[Found]:
        """Return every file to be followed and every rotated past: these first, in the order of their times.

        Args:
            known: names that are followed, though there may be no file of that name at present.
        """
        self.problems = {}
        names = {path for pattern in self._patterns for path in glob.iglob(pattern, recursive=True)}  # noqa: PTH207
        usable = {path for path in names if self._is_usable(path)}
        live = {path for path in usable if _live_name(path, usable) is None}
        past = {path: of for path, of in _pasts(live, live.union(known)) if self._is_usable(path)}
        found: dict[FileKey, Found] = {}
        for path in (*sorted(live), *sorted(past)):
            one = self._stat(path, past.get(path))
            if one is not None:
                found.setdefault(one.key, one)
        return sorted(found.values(), key=lambda one: (one.past_of is None, one.mtime_ns))

    def _is_usable(self, path: str) -> bool:
        excluded = self._excluded is not None and path.startswith(self._excluded)
        return not excluded and not path.endswith(_COMPRESSED)

    def _stat(self, path: str, past_of: str | None) -> Found | None:
        try:
            status = os.stat(path)  # noqa: PTH116 - a thousand of them every second
        except FileNotFoundError:  # gone since it was listed, or a symlink to nowhere
            return None
        except OSError as error:
            self.problems[path] = error.strerror or str(error)
            return None
        if not stat.S_ISREG(status.st_mode):
            if past_of is None:
                self.problems[path] = "not a regular file"
            return None
        return Found(path, (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns, past_of)


def _pasts(live: set[str], names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield what lies beside the followed names and is the past of one of them, with that name."""
    for directory in {os.path.dirname(path) for path in names}:  # noqa: PTH120
        try:
            listed = os.listdir(directory)  # noqa: PTH208
        except OSError:  # not readable: only the names that are known can be followed
            continue
        for name in listed:
            path = f"{directory.rstrip('/')}/{name}"
            if path not in live and (of := _live_name(path, names)) is not None:
                yield path, of


def _live_name(path: str, names: set[str]) -> str | None:
    """Return the name among ``names`` whose rotated past a path is, by the look of it; None when it is of none."""
    for pattern in (_SUFFIX, _DATE_INSIDE):
        base = pattern.sub("", path)
        if base != path and base in names:
            return base
    return None
