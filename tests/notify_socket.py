"""Plays the service manager's side of sd_notify(3)."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType


class NotifySocket:
    """Receives what a service says.

    Args:
        address: a path, or an abstract name after ``@``.
    """

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address.replace("@", "\0", 1))
        self._socket.settimeout(30)
        self.heard: list[list[str]] = []
        """Every message so far that was looked at, as its assignments."""

    def __enter__(self) -> NotifySocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def next(self) -> list[str]:
        """Wait for a message."""
        self.heard.append(self._socket.recv(65_536).decode().split("\n"))
        return self.heard[-1]

    def wait_for(self, beginning: str) -> list[str]:
        """Wait for a message with an assignment that begins like this."""
        while True:
            message = self.next()
            if any(one.startswith(beginning) for one in message):
                return message

    def waiting(self) -> list[list[str]]:
        """Return what has come and was not looked at, without waiting."""
        self._socket.setblocking(False)
        messages = []
        try:
            while True:
                messages.append(self.next())
        except BlockingIOError:
            return messages
        finally:
            self._socket.settimeout(30)
