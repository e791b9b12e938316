"""The aiohttp application: routes, limits, and what every request passes through: context, metrics, errors, access."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from logstreamd.api.access import Access, wait_with_body
from logstreamd.api.connections import CappedConnections
from logstreamd.api.errors import errors_as_json
from logstreamd.api.headers import answer_bad_http, secure
from logstreamd.api.https import HttpsSite
from logstreamd.api.permissions import scopes_of
from logstreamd.api.request_context import in_context, name_request, route_of
from logstreamd.api.slow_clients import HttpTimeouts, SlowHeads, bound_writing
from logstreamd.inputs.addresses import bind_sockets
from logstreamd.metrics import Metrics
from logstreamd.tls import ServerTls

__all__ = ["HttpServer", "Resource", "build_application"]

_SHUTDOWN_SECONDS = 5.0
_TIMEOUTS = HttpTimeouts()
_MAX_LINE_BYTES = 65_536  # a filter of 4,096 characters that take 12 bytes each in a URL, and the rest
_MAX_FIELD_BYTES = 16_384  # the longest Last-Event-ID


class Resource(Protocol):
    """What can be asked for on some paths."""

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""


def build_application(
    resources: Iterable[Resource], *, access: Access, metrics: Metrics, max_body_bytes: int
) -> web.Application:
    """Put the resources on their paths.

    Args:
        resources: what can be asked for.
        access: who may.
        metrics: where requests are counted.
        max_body_bytes: of a request.

    Raises:
        LookupError: nobody has decided who may use a route.
    """
    application = web.Application(
        client_max_size=max_body_bytes, middlewares=[in_context, _measured(metrics), errors_as_json, access.guard]
    )
    for route in (route for resource in resources for route in resource.routes()):
        (added, *_) = web.RouteDef(
            route.method, route.path, route.handler, {**route.kwargs, "expect_handler": wait_with_body}
        ).register(application.router)
        if added.resource is not None:
            scopes_of(route.method, added.resource.canonical)
    application.on_response_prepare.extend([name_request, access.mark, secure])
    return application


def _measured(metrics: Metrics) -> Middleware:
    @web.middleware
    async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        route = route_of(request)
        response = await handler(request)
        metrics.http_requests.labels(route, str(response.status)).inc()
        metrics.http_seconds.labels(route).observe(time.perf_counter() - started)
        return response

    return measured


def _log_without_peers() -> logging.Logger:
    """Return aiohttp's logger without what any peer could fill it with: requests that are no HTTP get their 400."""
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(_is_our_fault)
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def _ignore(*_: object) -> None:
    """Nobody counts."""


class HttpServer:
    """Serves the application on one address.

    Args:
        application: see :func:`build_application`.
        host: name or address.
        port: 0 lets the kernel choose.
        timeouts: how long clients may take.
        on_slow_head: told of each connection that was closed because no request came over it.
        caps: how many clients may be connected; None for any number.
        tls: None for plain HTTP.
        handshake_timeout_seconds: for a TLS handshake.
        on_tls_failure: told why one came to nothing.
    """

    def __init__(
        self,
        application: web.Application,
        *,
        host: str,
        port: int,
        timeouts: HttpTimeouts = _TIMEOUTS,
        on_slow_head: Callable[[], None] = _ignore,
        caps: CappedConnections | None = None,
        tls: ServerTls | None = None,
        handshake_timeout_seconds: float = 10.0,
        on_tls_failure: Callable[[str], None] = _ignore,
    ) -> None:
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_log_without_peers(),
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_FIELD_BYTES,
            handler_cancellation=True,  # a client that goes away takes its handler, and with it its query, along
            auto_decompress=False,  # bodies are inflated here, with bounds
            shutdown_timeout=_SHUTDOWN_SECONDS,
            keepalive_timeout=timeouts.keepalive_seconds,
        )
        self._write_seconds = timeouts.write_seconds
        self._slow_heads = SlowHeads(timeouts.read_seconds, on_slow_head)
        self._caps = caps
        self._tls = tls
        self._handshake_timeout_seconds = handshake_timeout_seconds
        self._on_tls_failure = on_tls_failure
        self._host = host
        self._port = port
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Where it answers first."""
        return f"{'http' if self._tls is None else 'https'}://{self.endpoints[0]}"

    @property
    def endpoints(self) -> list[str]:
        """Where it listens."""
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port, *_ in self._runner.addresses]

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: the address can't be bound.
        """
        await self._runner.setup()
        answer_bad_http(self._runner)
        if self._runner.server is not None:
            self._slow_heads.watch(self._runner.server)
            if self._caps is not None:
                self._caps.watch(self._runner.server)
        self._sockets = await bind_sockets(self._host, self._port, socket.SOCK_STREAM)
        for sock in self._sockets:
            bound_writing(sock, self._write_seconds)
            await self._site(sock.dup()).start()

    def _site(self, sock: socket.socket) -> web.BaseSite:
        if self._tls is None:
            return web.SockSite(self._runner, sock)
        return HttpsSite(
            self._runner,
            sock,
            self._tls,
            handshake_timeout_seconds=self._handshake_timeout_seconds,
            on_failure=self._on_tls_failure,
        )

    async def apply_tls(self, tls: ServerTls, handshake_timeout_seconds: float) -> None:
        """Meet new connections with another certificate; those that are open stay."""
        self._tls = tls
        self._handshake_timeout_seconds = handshake_timeout_seconds
        before = list(self._runner.sites)
        for sock in self._sockets:
            await self._site(sock.dup()).start()
        for site in before:
            await site.stop()

    async def stop(self) -> None:
        """Finish what is being answered and close."""
        self._slow_heads.stop()
        await self._runner.cleanup()
        for sock in self._sockets:
            sock.close()
