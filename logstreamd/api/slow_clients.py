"""Clients that are too slow: each could hold a connection, and what is kept for it, for as long as it likes.

=================== ====================================================================================
while a client      it is cut after
=================== ====================================================================================
says nothing yet,   ``read_seconds`` from the connection to the end of its first request's head
or says it slowly
sends a body        ``read_seconds`` from the end of the head; it is told so (408)
does not read       ``write_seconds`` without room for another byte: by the kernel, whatever is being sent
has had its answer  ``keepalive_seconds`` to the end of the next request's head
=================== ====================================================================================
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from logstreamd.api.errors import error_answer

__all__ = ["HttpTimeouts", "SlowHeads", "bound_writing", "slow_body"]

_SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """How long clients may take, see above."""

    read_seconds: float = 60.0
    write_seconds: float = 30.0
    keepalive_seconds: float = 75.0


def slow_body(read_seconds: float) -> web.Response:
    """Answer a client whose body did not arrive in time."""
    return error_answer(408, "slow_body", f"the body must arrive within {read_seconds:g} seconds")


def bound_writing(sock: socket.socket, write_seconds: float) -> None:
    """Let the kernel cut connections of a listening socket whose clients take nothing any more.

    It counts from the moment a client's window is full, and begins anew with every byte that is taken: so a slow client
    is served however long it takes, and one that holds still is not. Connections inherit it. Source: tcp(7),
    TCP_USER_TIMEOUT; it covers full windows since Linux 5.11.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(write_seconds * 1_000))


class SlowHeads:
    """Closes connections whose first request does not come: the server itself waits as long as between two requests.

    Args:
        read_seconds: for the head of a request to arrive; noticed up to two seconds later.
        on_cut: told of each connection that is closed.
    """

    def __init__(self, read_seconds: float, on_cut: Callable[[], None]) -> None:
        self._read_seconds = read_seconds
        self._on_cut = on_cut
        self._sweep_seconds = min(_SWEEP_SECONDS, read_seconds)
        self._since: dict[object, float | None] = {}
        """When each connection was first seen; None once a request came over it."""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, server: web.Server) -> None:
        """Look at the connections of a server from now on."""
        make_request = server.request_factory

        def make_noted_request(message: Any, payload: Any, protocol: Any, *others: Any) -> web.BaseRequest:
            self._since[protocol] = None
            return make_request(message, payload, protocol, *others)

        server.request_factory = make_noted_request
        self._sweep(server)

    def _sweep(self, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._sweep_seconds, self._sweep, server)
        now = loop.time()
        self._since = {one: self._since.get(one, now) for one in server.connections}
        for connection in server.connections:
            since = self._since[connection]
            if since is not None and now - since > self._read_seconds:
                self._on_cut()
                connection.force_close()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
