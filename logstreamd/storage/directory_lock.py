"""One daemon per data directory: a lock that the kernel drops when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from logstreamd.storage.errors import ClusterError, ClusterInUseError

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """An exclusive lock on a file, which names the process that holds it.

    Args:
        path: the file; made when missing and never removed (or two processes could lock two files).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ClusterInUseError: another process holds it.
            ClusterError: the file can't be opened.
        """
        if self.held:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except PermissionError as error:
            raise ClusterError(
                f"{self._path} belongs to another user: run logstreamd as that user ({error})"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode().strip() or "unknown"
            os.close(descriptor)
            raise ClusterInUseError(
                f"another logstreamd (process {holder}) runs the database in {self._path.parent}: "
                "stop it, or name another state_dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
