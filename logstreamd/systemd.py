"""What a service manager and its service say to each other, by systemd's protocol.

=====================  ====================================================  ========================
variable               what it is                                            described in
=====================  ====================================================  ========================
``NOTIFY_SOCKET``      where the service says how it is                      sd_notify(3)
``LISTEN_FDS``         so many sockets are open already, from descriptor 3   sd_listen_fds(3)
``WATCHDOG_USEC``      the service is killed when it is silent for so long   sd_watchdog_enabled(3)
=====================  ====================================================  ========================

Each is taken out of the environment when it is read: they are meant for this process, and a PostgreSQL that it starts
would otherwise report its own readiness as ours.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

__all__ = ["ListenSocket", "Notifier", "take_listen_sockets", "take_watchdog_seconds"]

_FIRST_LISTEN_FD = 3  # SD_LISTEN_FDS_START in sd-daemon.h
_SEND_SECONDS = 1.0  # a manager that does not read must not hold up the service for longer


@dataclass(frozen=True, slots=True)
class ListenSocket:
    """A bound socket that was handed over."""

    name: str
    """``FileDescriptorName=`` of its unit, ``unknown`` when it has none."""
    sock: socket.socket


class Notifier:
    """Tells the service manager how the service is; without one, nobody.

    Args:
        address: a path, or an abstract name after ``@``; None for nobody.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Take ``NOTIFY_SOCKET``.

        Raises:
            OSError: it is none of the kinds of address that are understood here.
        """
        address = environ.pop("NOTIFY_SOCKET", None)
        if address is not None and (address[:1] not in ("/", "@") or len(address) < 2):
            raise OSError(errno.EAFNOSUPPORT, f"NOTIFY_SOCKET must be a path or begin with @ (got {address!r})")
        return cls(address)

    @property
    def listens(self) -> bool:
        """Whether there is somebody to tell."""
        return self._address is not None

    def send(self, *assignments: str) -> bool:
        """Send assignments such as ``READY=1`` in one message.

        Returns:
            Whether it was delivered, or there is nobody to deliver it to.
        """
        if self._address is None:
            return True
        # Line feeds separate the assignments; those in a text would begin another one.
        message = "\n".join(one.replace("\n", " ") for one in assignments).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_SEND_SECONDS)
            try:
                sock.sendto(message, self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address)
            except OSError:  # TimeoutError too
                return False
        return True


def take_listen_sockets(environ: MutableMapping[str, str]) -> list[ListenSocket]:
    """Take the sockets that were opened for this process; they are not inherited by its children.

    Raises:
        OSError: a descriptor is not open, or no socket.
    """
    pid, count, names = (environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    given = names.split(":") if names else []
    found = []
    for number in range(int(count)):
        descriptor = _FIRST_LISTEN_FD + number
        name = given[number] if number < len(given) else "unknown"
        try:
            os.set_inheritable(descriptor, False)
            found.append(ListenSocket(name, socket.socket(fileno=descriptor)))
        except OSError as problem:
            raise OSError(problem.errno, f"descriptor {descriptor} ({name}): {problem.strerror}") from problem
    return found


def take_watchdog_seconds(environ: MutableMapping[str, str]) -> float | None:
    """Take how long the manager waits for a sign of life, None when it does not watch this process."""
    pid, microseconds = environ.pop("WATCHDOG_PID", None), environ.pop("WATCHDOG_USEC", "")
    if pid not in (None, str(os.getpid())) or not microseconds.isdecimal():
        return None
    return int(microseconds) / 1_000_000 or None
