"""HTTP over TLS: who shows no permitted certificate is let go before a request of it is read.

A new certificate is put in force by listening anew with a copy of the same socket: connections that are open stay, and
none that wait in the kernel are lost.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import structlog
from aiohttp import web

from logstreamd.config import HTTP_INPUT
from logstreamd.inputs.addresses import peer_address
from logstreamd.tls import Failure, ServerTls, failure_of, not_permitted

__all__ = ["HttpsSite"]

_log = structlog.get_logger(__name__)


class HttpsSite(web.SockSite):
    """Accepts TLS connections for a runner's server.

    Args:
        runner: has the server.
        sock: bound; it is closed with the site.
        tls: certificate, key, and whose certificates are welcome.
        handshake_timeout_seconds: for a handshake.
        on_failure: told why a handshake came to nothing, one of ``FAILURE_REASONS``.
    """

    __slots__ = ("_handshake_timeout_seconds", "_on_failure", "_tls")

    def __init__(
        self,
        runner: web.AppRunner,
        sock: socket.socket,
        tls: ServerTls,
        *,
        handshake_timeout_seconds: float,
        on_failure: Callable[[str], None],
    ) -> None:
        super().__init__(runner, sock, ssl_context=tls.context)
        self._tls = tls
        self._on_failure = on_failure
        self._handshake_timeout_seconds = handshake_timeout_seconds

    async def start(self) -> None:
        """Accept connections; as the base class does, and with a limit for handshakes."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None  # noqa: S101 - the base class refuses a runner without
        # The event loop keeps to itself why a handshake failed, and with whom.
        self._tls.context.sslobject_class = _told_handshakes(lambda failure: self._failed(failure, peer=None))
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Doorman(self._tls, server, self._failed),
            sock=self._sock,
            ssl=self._tls.context,
            backlog=self._backlog,
            ssl_handshake_timeout=self._handshake_timeout_seconds,
        )

    def _failed(self, failure: Failure, peer: str | None) -> None:
        """Take note of a connection that came to nothing."""
        self._on_failure(failure.reason)
        _log.warning("TLS connection closed", input=HTTP_INPUT, peer=peer, reason=failure.words)


def _told_handshakes(on_failure: Callable[[Failure], None]) -> type[ssl.SSLObject]:
    """Return what handshakes are made with: as ever, but somebody is told of those that fail."""

    class ToldHandshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLWantReadError:
                raise
            except ssl.SSLError as error:
                on_failure(failure_of(error))
                raise

    return ToldHandshake


class _Doorman(asyncio.Protocol):
    """Looks at the certificate, and hands the connection over."""

    def __init__(
        self, tls: ServerTls, server: Callable[[], asyncio.Protocol], on_failure: Callable[[Failure, str], None]
    ) -> None:
        self._tls = tls
        self._server = server
        self._on_failure = on_failure

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert()
        if certificate and not self._tls.permitted.permits(certificate, tls.getpeercert(binary_form=True)):
            self._on_failure(not_permitted(certificate), peer_address(transport.get_extra_info("peername")[0]))
            transport.close()
            return
        protocol = self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
