"""HTTP over TLS: who shows no permitted certificate is let go before a request of it is read.

A new certificate is put in force by listening anew with a copy of the same socket: connections that are open stay, and
none that wait in the kernel are lost.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog
from aiohttp import web

from logstreamd.inputs.addresses import peer_address
from logstreamd.tls import ServerTls, not_permitted

__all__ = ["HttpsSite"]

_log = structlog.get_logger(__name__)


class HttpsSite(web.SockSite):
    """Accepts TLS connections for a runner's server.

    Args:
        runner: has the server.
        sock: bound; it is closed with the site.
        tls: certificate, key, and whose certificates are welcome.
        handshake_timeout_seconds: for a handshake.
    """

    __slots__ = ("_handshake_timeout_seconds", "_tls")

    def __init__(
        self, runner: web.AppRunner, sock: socket.socket, tls: ServerTls, *, handshake_timeout_seconds: float
    ) -> None:
        super().__init__(runner, sock, ssl_context=tls.context)
        self._tls = tls
        self._handshake_timeout_seconds = handshake_timeout_seconds

    async def start(self) -> None:
        """Accept connections; as the base class does, and with a limit for handshakes."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None  # noqa: S101 - the base class refuses a runner without
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Doorman(self._tls, server),
            sock=self._sock,
            ssl=self._tls.context,
            backlog=self._backlog,
            ssl_handshake_timeout=self._handshake_timeout_seconds,
        )


class _Doorman(asyncio.Protocol):
    """Looks at the certificate, and hands the connection over."""

    def __init__(self, tls: ServerTls, server: Callable[[], asyncio.Protocol]) -> None:
        self._tls = tls
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert()
        if certificate and not self._tls.permitted.permits(certificate, tls.getpeercert(binary_form=True)):
            peer = peer_address(transport.get_extra_info("peername")[0])
            _log.warning("TLS connection closed", input="http", peer=peer, reason=not_permitted(certificate).words)
            transport.close()
            return
        protocol = self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
