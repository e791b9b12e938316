"""The spool directory: who may use it, whose it is, and the id and seqs that must outlive its database.

============ ==========================================================================================
file          content
============ ==========================================================================================
spool.db      the batches, with ``-wal`` and ``-shm`` beside it
identity      JSON: the spool's id, the format, and the highest seq that may have been used
lock          flocked by the owner; holds its pid
corrupt/      bodies that could not be read, one file each
============ ==========================================================================================

Seqs are reserved in ``identity`` before they are used. The database may lose its newest commits in a power
cut, or all of them to a corrupt disk, while PostgreSQL already holds their markers: a seq used twice would
then look stored.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
import uuid
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from logstreamd.spool.interface import SpoolDirectoryError, SpoolOwnedError, SpoolVersionError

__all__ = ["FORMAT", "Identity", "SpoolDirectory", "sync_directory"]

FORMAT = 2
"""The format of the directory and its database; a higher one is refused, a lower one is brought up to it.

2: the table of file positions.
"""

_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Identity:
    """Who this spool is to PostgreSQL's markers, and up to which seq it may have spoken."""

    id: uuid.UUID
    reserved_seq: int
    format: int = FORMAT


def sync_directory(path: Path) -> None:
    """Make renames and new names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SpoolDirectory:
    """A private directory with one owner at a time.

    Args:
        path: made with mode 0700 when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "spool.db"
        self._lock: int | None = None

    def claim(self) -> None:
        """Make the directory private and become its owner.

        Raises:
            SpoolDirectoryError: it is a symlink, no directory, writable by everyone, or another user's.
            SpoolOwnedError: another process owns it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            self._check()
        self.path.chmod(0o700)  # mkdir obeys the umask, which may take more than it should
        self._lock = self._take_lock()

    def release(self) -> None:
        """Let another process become the owner."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def owner_pid(self) -> int | None:
        """Return the process that owns the directory, None when it is free; takes no lock to find out."""
        lock = self.path / "lock"
        try:
            inode = lock.stat().st_ino
            owner = lock.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        locked = any(
            fields[1] == "FLOCK" and fields[5].endswith(f":{inode}")
            for fields in map(str.split, Path("/proc/locks").read_text(encoding="ascii").splitlines())
        )
        return int(owner) if locked and owner.isdigit() else None

    def identity(self) -> Identity | None:
        """Read the identity; None when there is none or it is not readable as one.

        Raises:
            SpoolVersionError: the directory belongs to a newer version.
        """
        try:
            fields = json.loads((self.path / "identity").read_bytes())
            found = Identity(uuid.UUID(fields["id"]), int(fields["reserved_seq"]), int(fields["format"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        if found.format > FORMAT:
            raise SpoolVersionError(
                f"{self.path} has spool format {found.format}, this logstreamd knows up to {FORMAT}: "
                "it was not touched; use the newer version or another directory"
            )
        return found

    def keep_corrupt_identity(self) -> Path | None:
        """Set an identity aside that cannot be read; returns where it is, None when there is none."""
        try:
            content = (self.path / "identity").read_bytes()
        except FileNotFoundError:
            return None
        return self.keep_corrupt("identity", content)

    def write_identity(self, identity: Identity) -> None:
        """Replace the identity durably: after this returns a power cut cannot bring back the old one."""
        fields = {"id": str(identity.id), "format": identity.format, "reserved_seq": identity.reserved_seq}
        self._write_durably("identity", json.dumps(fields).encode())

    def keep_corrupt(self, name: str, body: bytes) -> Path:
        """Set bytes aside in ``corrupt/``, durably.

        Returns:
            The file they are in.
        """
        folder = self.path / "corrupt"
        folder.mkdir(mode=0o700, exist_ok=True)
        kept = _free_name(folder / name)
        self._write_durably(f"corrupt/{kept.name}", body)
        return kept

    def aside_path(self) -> Path:
        """Return a name that is free for the database when it has to be set aside."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return _free_name(self.path / f"spool.db.corrupt-{stamp}")

    def file_bytes(self) -> int:
        """What the database and its log take on disk."""
        total = 0
        for suffix in ("", "-wal", "-shm"):
            try:
                total += Path(f"{self.database}{suffix}").stat().st_size
            except FileNotFoundError:
                continue
        return total

    def _check(self) -> None:
        status = self.path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise SpoolDirectoryError(f"{self.path} is not a directory (a symlink is not followed)")
        if status.st_mode & stat.S_IWOTH:
            raise SpoolDirectoryError(f"{self.path} is writable by everyone: spooled logs would not be safe there")
        if status.st_uid != os.geteuid():
            raise SpoolDirectoryError(f"{self.path} belongs to uid {status.st_uid}, this is uid {os.geteuid()}")

    def _take_lock(self) -> int:
        descriptor = self._open_private("lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise SpoolOwnedError(f"the spool {self.path} is in use by process {owner}") from None
        try:
            os.pwrite(descriptor, f"{os.getpid():<10}\n".encode(), 0)  # in place: works on a full disk too
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _write_durably(self, name: str, content: bytes) -> None:
        temporary = f"{name}.new"
        descriptor = self._open_private(temporary)
        try:
            os.ftruncate(descriptor, 0)
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        target = (self.path / temporary).replace(self.path / name)
        sync_directory(target.parent)

    def _open_private(self, name: str) -> int:
        """Open a file with mode 0600 whatever the umask says, never through a symlink."""
        try:
            descriptor = os.open(self.path / name, _NEW_FILE, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise SpoolDirectoryError(f"{self.path / name} is a symlink") from None
            raise
        os.fchmod(descriptor, 0o600)
        return descriptor


def _free_name(path: Path) -> Path:
    """Return the path, with a number behind it when it is taken: nothing that was set aside is overwritten."""
    candidates = (path if n == 0 else path.with_name(f"{path.name}-{n}") for n in count())
    return next(candidate for candidate in candidates if not candidate.exists())
