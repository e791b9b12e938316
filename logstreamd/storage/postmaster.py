"""Is a server running on a data directory, and what is left of one that was killed?

``postmaster.pid`` names a process, but after a crash that number may belong to somebody else (in a container
it usually does). What counts is which processes named ``postgres`` have the data directory as their working
directory, where every server process stays from start to end.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from logstreamd.storage.errors import ClusterError
from logstreamd.storage.socket_directory import SOCKET_NAME

__all__ = ["clear_leftovers", "data_major", "is_running", "wait_gone"]

ORPHAN_TIMEOUT_SECONDS = 10.0
"""Server processes notice within moments that their postmaster is gone, or after the write they are in."""


def data_major(pgdata: Path) -> int | None:
    """Return the major version that made a data directory, or None when there is no directory.

    Raises:
        ClusterError: there is a directory, but it is not PostgreSQL's.
    """
    if not pgdata.exists():
        return None
    try:
        return int((pgdata / "PG_VERSION").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise ClusterError(
            f"{pgdata} is not a PostgreSQL data directory: move it away, or name another state_dir"
        ) from None


def is_running(pgdata: Path) -> bool:
    """Whether a postmaster runs on this data directory."""
    return _running_pid(pgdata) is not None


def clear_leftovers(pgdata: Path, socket_dir: Path) -> None:
    """Clear away what a killed server left behind; the caller has made sure that no postmaster runs.

    PostgreSQL does so itself, unless the old process number is in use: by another process, or by the dead server as
    long as nobody takes note of its end (in a container without an init process).

    Raises:
        ClusterError: processes of the dead server live on and use the data.
    """
    # A postmaster.pid without its process protects the data from a second server as long as orphans of the
    # first are alive. So wait for them, and only then remove a file that may keep the server from starting.
    deadline = time.monotonic() + ORPHAN_TIMEOUT_SECONDS
    while orphans := _server_pids(pgdata):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"processes of an earlier PostgreSQL still use {pgdata}: {orphans}; end them and start again"
            )
        time.sleep(0.02)
    for lock_file in (pgdata / "postmaster.pid", socket_dir / f"{SOCKET_NAME}.lock"):
        lock_file.unlink(missing_ok=True)


async def wait_gone(pgdata: Path) -> None:
    """Return once the postmaster of this data directory has ended."""
    pid = _running_pid(pgdata)
    if pid is None:
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _running_pid(pgdata: Path) -> int | None:
    try:
        pid = int((pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid in _server_pids(pgdata) else None


def _server_pids(pgdata: Path) -> list[int]:
    """Return the processes named postgres that work in ``pgdata``."""
    directory = os.path.realpath(pgdata)
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _works_in(entry, directory)
    ]


def _works_in(process: Path, directory: str) -> bool:
    try:
        named_postgres = (process / "comm").read_text() == "postgres\n"
        return named_postgres and str((process / "cwd").readlink()) == directory
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it ended meanwhile, or it is another user's
