"""Requests that were turned away: counted by the reason, and in the log once a minute for each peer."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog
from aiohttp import web

from logstreamd.metrics import Metrics

__all__ = ["Denials"]

_log = structlog.get_logger(__name__)
_QUIET_SECONDS = 60.0
_MAX_PEERS = 1_000  # remembered: 200 bytes each; a flood from more addresses than that is no news after the first line
_MAX_PATH_CHARS = 200


class Denials:
    """Counts and reports.

    Args:
        metrics: where they are counted.
        clock: seconds that only grow.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._peers: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """When a peer was last in the log, and how often it was turned away since."""

    def tell(self, request: web.Request, reason: str, **details: str) -> None:
        """Note that a request was turned away.

        Args:
            request: the request.
            reason: one of ``HTTP_DENIAL_REASONS``.
            details: for the log.
        """
        self._metrics.http_denied_requests.labels(reason).inc()
        peer, now = request.remote or "unknown", self._clock()
        told_at, unsaid = self._peers.pop(peer, (-_QUIET_SECONDS, 0))
        if now - told_at < _QUIET_SECONDS:
            self._peers[peer] = (told_at, unsaid + 1)
            return
        self._peers[peer] = (now, 0)
        if len(self._peers) > _MAX_PEERS:
            self._peers.popitem(last=False)
        _log.warning(
            "request denied",
            reason=reason,
            peer=peer,
            method=request.method,
            path=request.path[:_MAX_PATH_CHARS],
            denied_before=unsaid,
            **details,
        )
