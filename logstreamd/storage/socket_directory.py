"""Where the embedded server's socket lies: a private directory with a short path.

A socket's path may be 107 bytes long at most (``sun_path`` in unix(7), less its final NUL), and PostgreSQL
and its clients read a comma in it as the end of a list item. Where the data directory's own path doesn't fit,
the socket goes to a private directory under ``/run`` or ``/tmp``, and ``socket`` in the data directory is a
link to it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from logstreamd.storage.os_account import Account

__all__ = ["MAX_SOCKET_PATH_BYTES", "SOCKET_NAME", "ensure_socket_directory"]

MAX_SOCKET_PATH_BYTES = 107
SOCKET_NAME = ".s.PGSQL.5432"


def ensure_socket_directory(data_dir: Path, account: Account) -> Path:
    """Return the directory for the server's socket, 0700 and owned by ``account``, making it when needed."""
    link = data_dir / "socket"
    if _fits(link):
        if link.is_symlink():
            link.unlink()
        link.mkdir(exist_ok=True)
        return _make_private(link, account)
    if link.is_symlink() and _is_private(link.readlink(), account):
        return link.readlink()
    link.unlink(missing_ok=True)
    directory = _make_private(Path(tempfile.mkdtemp(prefix="logstreamd-", dir=_short_parent())), account)
    link.symlink_to(directory)
    return directory


def _fits(directory: Path) -> bool:
    return len(os.fsencode(directory / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES and "," not in str(directory)


def _short_parent() -> Path:
    return Path("/run" if os.access("/run", os.W_OK) else "/tmp")  # noqa: S108 - mkdtemp's are private


def _make_private(directory: Path, account: Account) -> Path:
    directory.chmod(0o700)
    os.chown(directory, account.uid, account.gid)
    return directory


def _is_private(directory: Path, account: Account) -> bool:
    """Whether an earlier run's directory is still there and still nobody else's."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == account.uid
