"""Which operating-system user runs the embedded PostgreSQL, and running programs as that user.

PostgreSQL refuses to run as root. A daemon started as root therefore hands the server to an unprivileged user
that exists already; no user is made and no permission of a directory that is not ours is changed.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from logstreamd.storage.errors import ClusterError

__all__ = ["Account", "blocking_directory", "owner_account", "run_as", "unprivileged_account"]

UNPRIVILEGED_USERS = ("logstreamd", "postgres", "nobody")
"""In this order: our own user, the one made for PostgreSQL, the one every system has."""


@dataclass(frozen=True, slots=True)
class Account:
    """An operating-system user and its primary group."""

    name: str
    uid: int
    gid: int


def owner_account(path: Path) -> Account:
    """Return the user a file or directory belongs to."""
    owner = path.stat()
    return _account(owner.st_uid, owner.st_gid)


def _account(uid: int, gid: int) -> Account:
    try:
        return Account(pwd.getpwuid(uid).pw_name, uid, gid)
    except KeyError:
        return Account(str(uid), uid, gid)


def unprivileged_account() -> Account:
    """Return the user to run the server as: ourselves, or one of :data:`UNPRIVILEGED_USERS` when we are root.

    Raises:
        ClusterError: we are root and none of them exists.
    """
    if os.geteuid() != 0:
        return _account(os.geteuid(), os.getegid())
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ClusterError(
        "PostgreSQL refuses to run as root, and none of the users "
        f"{', '.join(UNPRIVILEGED_USERS)} exists: add one (useradd --system logstreamd), "
        "or run logstreamd as an ordinary user"
    )


def run_as(
    account: Account, command: Sequence[str | Path], *, timeout_seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program as ``account`` with a clean environment and wait for it.

    The environment carries no ``PG*`` variable of ours, messages are in English and new files are private.

    Raises:
        OSError: the program can't be started, for example because that user can't read it.
        subprocess.TimeoutExpired: it took longer; it has been killed.
    """
    switch = os.geteuid() != account.uid
    return subprocess.run(  # noqa: S603 - a list of our own making, no shell
        [str(part) for part in command],
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_seconds,
        umask=0o077,
        user=account.uid if switch else None,
        group=account.gid if switch else None,
        extra_groups=[] if switch else None,
    )


def blocking_directory(account: Account, path: Path) -> Path | None:
    """Return the first directory up to ``path`` that ``account`` may not pass, or None when it gets there.

    What does not exist yet does not count. The kernel is asked, as that user: permission bits alone don't
    tell of access lists or mounts.
    """
    for directory in [*reversed(path.parents), path]:
        if not directory.exists():
            return None
        test: list[str | Path] = ["/bin/sh", "-c", 'test -x "$1"', "sh", directory]
        if run_as(account, test, timeout_seconds=10).returncode:
            return directory
    return None
