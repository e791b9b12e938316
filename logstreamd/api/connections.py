"""How many clients may be connected at once.

Each holds a descriptor, and without any left nothing can be stored and no sender accepted. Connections are counted once
they could make a request: with TLS from the end of the handshake, which has a time limit of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import structlog
from aiohttp import web

from logstreamd.config import HTTP_INPUT
from logstreamd.inputs.addresses import peer_address
from logstreamd.metrics import Metrics

__all__ = ["CappedConnections"]

_log = structlog.get_logger(__name__)


class CappedConnections:
    """Counts the connections of a server, and closes those beyond a limit as they come.

    Args:
        metrics: counts them, too.
        max_connections: open at once.
        max_per_peer: of them for each address; 0 for no such limit.
    """

    def __init__(self, metrics: Metrics, *, max_connections: int, max_per_peer: int) -> None:
        self._max_connections = max_connections
        self._max_per_peer = max_per_peer
        self._open: dict[object, str] = {}
        self._of_peer: Counter[str] = Counter()
        self._accepted = metrics.accepted_connections.labels(HTTP_INPUT)
        self._rejected = metrics.rejected_connections.labels(HTTP_INPUT)
        metrics.connections.labels(HTTP_INPUT).set_function(lambda: len(self._open))

    def watch(self, server: web.Server) -> None:
        """Count the connections of a server from now on."""
        made, lost = server.connection_made, server.connection_lost

        def connection_made(connection: Any, transport: asyncio.Transport) -> None:
            made(connection, transport)
            if not self._enter(connection, peer_address(transport.get_extra_info("peername")[0])):
                transport.abort()

        def connection_lost(connection: Any, exc: BaseException | None = None) -> None:
            self._leave(connection)
            lost(connection, exc)

        server.connection_made = connection_made  # type: ignore[assignment, method-assign]
        server.connection_lost = connection_lost  # type: ignore[assignment, method-assign]

    def _enter(self, connection: object, address: str) -> bool:
        refusal = self._refusal(address)
        if refusal is not None:
            self._rejected.inc()
            _log.warning("connection refused", input=HTTP_INPUT, peer=address, reason=refusal)
            return False
        self._accepted.inc()
        self._open[connection] = address
        self._of_peer[address] += 1
        return True

    def _refusal(self, address: str) -> str | None:
        """Return why a connection from an address must not be served, None when it may."""
        if len(self._open) >= self._max_connections:
            return f"http.max_connections ({self._max_connections}) are open"
        if 0 < self._max_per_peer <= self._of_peer[address]:
            return f"http.max_connections_per_peer ({self._max_per_peer}) are open"
        return None

    def _leave(self, connection: object) -> None:
        address = self._open.pop(connection, None)
        if address is None:  # one that was refused
            return
        self._of_peer[address] -= 1
        if not self._of_peer[address]:
            del self._of_peer[address]
