"""``host:port`` → sockets: those that were open before the daemon started, or new ones."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from logstreamd.inputs.inherited import INHERITED

__all__ = ["bind_sockets", "endpoint", "peer_address"]

_MAPPED_IPV4 = "::ffff:"  # RFC 4291 section 2.5.5.2


def endpoint(sock: socket.socket) -> str:
    """Write a socket's own address as people do: ``127.0.0.1:5514``, ``[::1]:5514``."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_address(host: str) -> str:
    """Write a sender's address as itself would: without a zone of ours, IPv4 also where an IPv6 socket serves both.

    Args:
        host: as the socket gave it: ``fe80::1%eth0``, ``::ffff:192.0.2.1``.
    """
    address = host.partition("%")[0]
    return address.removeprefix(_MAPPED_IPV4) if "." in address else address


async def bind_sockets(host: str, port: int, kind: socket.SocketKind) -> list[socket.socket]:
    """Return one bound, non-blocking socket per address of ``host``.

    Where the daemon inherited sockets for some of the addresses, these are what there is: whoever opened them decided
    on which addresses to listen. Of a ``*`` that may be an IPv4 socket, an IPv6 one, or one for both versions.

    Args:
        host: a name, an address, or ``*`` for every address of both IP versions.
        port: 0 lets the kernel choose; several addresses then share the port it chose for the first.
        kind: ``socket.SOCK_DGRAM`` or ``socket.SOCK_STREAM``.

    Raises:
        OSError: the name is unknown or an address can't be bound; nothing stays open.
    """
    names = ("0.0.0.0", "::") if host == "*" else (host,)
    loop = asyncio.get_running_loop()
    found = [
        (family, address)
        for name in names
        for family, _, _, _, address in await loop.getaddrinfo(name, port, type=kind, flags=socket.AI_PASSIVE)
    ]
    sockets = INHERITED.borrow(kind, [address for _, address in found])
    if sockets:
        return sockets
    try:
        for family, address in found:
            bound = _bind(family, kind, address, port or (sockets[0].getsockname()[1] if sockets else 0))
            if bound is not None:
                sockets.append(bound)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(family: int, kind: socket.SocketKind, address: tuple[Any, ...], port: int) -> socket.socket | None:
    try:
        sock = socket.socket(family, kind)
    except OSError:
        if family == socket.AF_INET6:  # a kernel without IPv6
            return None
        raise
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # One socket per IP version: peers keep their own kind of address instead of ::ffff:192.0.2.1.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address[0], port, *address[2:]))
    except OSError as problem:
        sock.close()
        there = "".join(f"; {name} is inherited, and another address" for name in INHERITED.names_at(port))
        raise OSError(problem.errno, f"cannot bind {address[0]} port {port}: {problem.strerror}{there}") from problem
    return sock
