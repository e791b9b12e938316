"""Plays systemd: holds the sockets, starts the daemon with them as ``LISTEN_FDS``, hears what it says."""

from __future__ import annotations

import fcntl
import socket
import sys
from collections.abc import Sequence

__all__ = ["ServiceManager"]

# Runs in the process that becomes the daemon: only there its pid is known. What MemoryDenyWriteExecute= is in the
# shipped unit is PR_SET_MDWE here, where the kernel has it (6.3): memory that was written to can't become code.
_PASS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
count, *command = sys.argv[1:]
descriptors = [int(number) for number in count.split(",")]
for number, descriptor in enumerate(descriptors, 3):
    os.dup2(descriptor, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(descriptors)))
os.execv(command[0], command)
"""
_ABOVE_PASSED = 100  # so that no descriptor lies where another one is passed


class ServiceManager:
    """Starts a process the way systemd does.

    Args:
        sockets: bound ones that the daemon inherits, by name.
        variables: ``NOTIFY_SOCKET`` and the like.
    """

    def __init__(
        self, sockets: Sequence[tuple[str, socket.socket]] = (), variables: dict[str, str] | None = None
    ) -> None:
        self._sockets = [(name, _moved(sock)) for name, sock in sockets]
        names = {"LISTEN_FDNAMES": ":".join(name for name, _ in self._sockets)} if sockets else {}
        self.variables = {**names, **(variables or {})}

    @property
    def descriptors(self) -> Sequence[int]:
        """What the process has to inherit."""
        return [sock.fileno() for _, sock in self._sockets]

    def command(self, command: list[str]) -> list[str]:
        """Return the command that becomes the daemon's."""
        if not self._sockets:
            return command
        return [sys.executable, "-c", _PASS, ",".join(map(str, self.descriptors)), *command]

    def close(self) -> None:
        """Close the sockets."""
        for _, sock in self._sockets:
            sock.close()


def _moved(sock: socket.socket) -> socket.socket:
    return socket.socket(fileno=fcntl.fcntl(sock.detach(), fcntl.F_DUPFD_CLOEXEC, _ABOVE_PASSED))
