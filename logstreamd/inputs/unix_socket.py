"""A datagram socket at a path: bound with its permissions, and removed when nobody listens any more.

A socket's file stays when its daemon dies; it is then *stale*: whoever sends to it is refused. Only such a file is ever
removed. Whether somebody listens is asked of the kernel and not remembered, so that a socket that was handed over (to
another input, or back to systemd) keeps its file.

Paths are never followed through a symbolic link at their end. Two daemons that start in the same moment could both find
the same stale file; the one that loses its name to the other is told by the kernel nowhere, so an address is not to be
given to two daemons, as everywhere.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from logstreamd.inputs.inherited import INHERITED

__all__ = ["ensure_mode", "open_unix", "remove_if_stale"]


def open_unix(path: Path, mode: int) -> socket.socket:
    """Return a bound, non-blocking datagram socket.

    Args:
        path: where. An inherited socket with this path is borrowed; a stale one is replaced.
        mode: who may write to it; of an inherited one that is not changed.

    Raises:
        OSError: somebody listens there, something else than a socket is there, or it can't be bound.
    """
    borrowed = INHERITED.try_borrow_unix(socket.SOCK_DGRAM, os.fspath(path))
    if borrowed is not None:
        return borrowed
    if not remove_if_stale(path):
        raise OSError(errno.EADDRINUSE, f"cannot bind {path}: {_what_is_there(path)}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # before anybody can send
        os.fchmod(sock.fileno(), 0)  # the file begins with it: nobody writes before the permissions are there
        sock.bind(os.fspath(path))
        _set_mode(path, mode)
    except OSError as problem:
        sock.close()
        raise OSError(problem.errno, f"cannot bind {path}: {problem.strerror}") from problem
    return sock


def ensure_mode(path: Path, mode: int) -> None:
    """Give a socket's file its permissions, unless the socket is inherited: then who opened it has decided.

    Raises:
        OSError: the file is gone, or it is not ours.
    """
    borrowed = INHERITED.try_borrow_unix(socket.SOCK_DGRAM, os.fspath(path))
    if borrowed is None:
        _set_mode(path, mode)
    else:
        borrowed.close()


def _set_mode(path: Path, mode: int) -> None:
    """Set the permissions of a socket's file; of nothing else, whatever stands there meanwhile."""
    # chmod() follows links and fchmod() of a socket does not reach its file: so by a descriptor that only names it.
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISSOCK(os.fstat(file).st_mode):
            Path(f"/proc/self/fd/{file}").chmod(mode)
    finally:
        os.close(file)


def remove_if_stale(path: Path) -> bool:
    """Remove a socket to which nobody listens.

    Returns:
        Whether nothing is there now; False when somebody listens, or it is no such socket.

    Raises:
        OSError: it is stale and can't be removed.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return True
        except OSError:  # of another kind, or not for us: somebody's in any case
            return False
    return False


def _what_is_there(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"it is a symbolic link (to {path.readlink()}), and not followed; listen where it leads, or remove it"
    if not stat.S_ISSOCK(mode):
        return "there is something that is not a socket, and it is not removed"
    return "another process listens there; stop it, or listen at another path"
