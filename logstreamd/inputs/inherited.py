"""Sockets that were open before the daemon was: what a socket unit of systemd passes to it.

They belong to whoever opened them and outlive the daemon: datagrams and connections that come while it is restarted
wait in the kernel. An input therefore borrows. It gets a copy of the descriptor, may close it whenever it likes, and
never unlinks a path. A socket that nobody borrows would swallow messages in silence, which is why there is
:meth:`InheritedSockets.refuse_idle`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from logstreamd.systemd import ListenSocket

__all__ = ["INHERITED", "InheritedSockets"]


@dataclass(frozen=True, slots=True)
class _Inherited:
    """One socket, and the copies that were handed out."""

    name: str
    sock: socket.socket
    copies: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> Any:
        """Host and port, or a path."""
        address = self.sock.getsockname()
        return address if self.sock.family == socket.AF_UNIX else address[:2]

    @property
    def idle(self) -> bool:
        return all(copy.fileno() < 0 for copy in self.copies)

    def copy(self) -> socket.socket:
        copy = self.sock.dup()
        copy.setblocking(False)
        self.copies[:] = [*(one for one in self.copies if one.fileno() >= 0), copy]
        return copy


class InheritedSockets:
    """What was handed over, by address."""

    def __init__(self) -> None:
        self._sockets: list[_Inherited] = []

    def adopt(self, given: Iterable[ListenSocket]) -> None:
        """Take over what this process was started with; what was taken over before is closed.

        Raises:
            OSError: a stream socket does not listen, as with ``Accept=yes``.
        """
        for one in self._sockets:
            one.sock.close()
        self._sockets = [_Inherited(one.name, one.sock) for one in given]
        for one in self._sockets:
            stream = one.sock.type == socket.SOCK_STREAM
            if stream and not one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                message = f"the inherited socket {one.name!r} does not listen: its unit must have Accept=no"
                raise OSError(message)

    def borrow(self, kind: socket.SocketKind, addresses: Sequence[tuple[Any, ...]]) -> list[socket.socket]:
        """Return copies of the sockets of a kind that are bound to some of ``addresses``, in their order.

        Args:
            kind: ``socket.SOCK_DGRAM`` or ``socket.SOCK_STREAM``.
            addresses: host, port, and what ``getaddrinfo`` appends.
        """
        internet = [one for one in self._sockets if one.sock.family != socket.AF_UNIX and one.sock.type == kind]
        return [one.copy() for address in addresses for one in internet if one.address == address[:2]]

    def try_borrow_unix(self, kind: socket.SocketKind, path: str) -> socket.socket | None:
        """Return a copy of the unix socket that is bound to ``path``; the borrower must not unlink it."""
        for one in self._sockets:
            if one.sock.family == socket.AF_UNIX and one.sock.type == kind and one.address == path:
                return one.copy()
        return None

    def duplicate(self, sock: socket.socket) -> socket.socket:
        """Return another descriptor of a socket for who takes it over; of an inherited one, another copy."""
        inode = os.fstat(sock.fileno()).st_ino
        for one in self._sockets:
            if os.fstat(one.sock.fileno()).st_ino == inode:
                return one.copy()
        return sock.dup()

    def names_at(self, port: int) -> list[str]:
        """Say which sockets with this port nobody has borrowed, for the message of a bind that failed."""
        return [
            _described(one)
            for one in self._sockets
            if one.idle and one.sock.family != socket.AF_UNIX and one.address[1] == port
        ]

    def refuse_idle(self) -> None:
        """See that every socket is in somebody's hands; called when all that listen do.

        Raises:
            OSError: one is not, with what to configure.
        """
        idle = [one for one in self._sockets if one.idle]
        if idle:
            sockets = ", ".join(map(_described, idle))
            advice = "; ".join(sorted({_advice(one) for one in idle}))
            message = f"nothing reads the inherited sockets {sockets}: {advice}, or take them out of the socket unit"
            raise OSError(message)


def _described(one: _Inherited) -> str:
    kind = "udp" if one.sock.type == socket.SOCK_DGRAM else "tcp"
    if one.sock.family == socket.AF_UNIX:
        return f"unix {one.address} ({one.name})"
    host, port = one.address
    return f"{kind} {f'[{host}]' if ':' in host else host}:{port} ({one.name})"


def _advice(one: _Inherited) -> str:
    if one.sock.family == socket.AF_UNIX:
        return f"add an input of type unix with listen: {one.address}"
    host, port = one.address
    listen = f"*:{port}" if host in ("0.0.0.0", "::") else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if one.sock.type == socket.SOCK_DGRAM:
        return f'add an input of type udp with listen: "{listen}"'
    return f'add an input of type tcp or tls with listen: "{listen}", or use it as http.listen'


INHERITED = InheritedSockets()
"""This process's: descriptors belong to a process, and so does the list of those it was given."""
