"""Syslog and JSON over TLS. Source: RFC 5425, which wants octet counts; lines are taken as well.

A :class:`~logstreamd.inputs.tcp.TcpInput` whose connections decrypt what they read. Who may connect, and how many, is
decided before anything is spent on a handshake. A new certificate is for new connections; those that are open stay.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from logstreamd.inputs.admission import Admission
from logstreamd.inputs.connection import Connection, StreamLimits
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.handshakes import Handshakes
from logstreamd.inputs.tcp import SWEEP_SECONDS, TcpInput
from logstreamd.inputs.tls_connection import TlsConnection
from logstreamd.metrics import Metrics
from logstreamd.tls import FAILURE_REASONS, Failure, ServerTls

__all__ = ["TlsInput", "say_certificate"]

_log = structlog.get_logger(__name__)


def say_certificate(name: str, tls: ServerTls, metrics: Metrics) -> None:
    """Say what a listener shows from now on, and what is not good about it."""
    metrics.tls_certificate_expiry.labels(name).set(tls.expires_at)
    expires = datetime.fromtimestamp(tls.expires_at, UTC).isoformat()
    _log.info("certificate in use", input=name, subject=tls.subject, expires=expires)
    for warning in tls.warnings:
        _log.warning("certificate not safe", input=name, problem=warning)


class TlsInput(TcpInput):
    """Accepts TLS connections on one address.

    Args:
        gatherer: see :class:`~logstreamd.inputs.tcp.TcpInput`, also for what is not listed here.
        tls: certificate, key, and whose certificates are welcome.
        handshake_timeout_seconds: from the begin of a connection to the end of its handshake; waiting for others is
            not counted.
        max_handshakes: so many at a time; the others wait.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        metrics: Metrics,
        admission: Admission,
        *,
        host: str,
        port: int,
        limits: StreamLimits,
        tls: ServerTls,
        handshake_timeout_seconds: float,
        max_handshakes: int,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        super().__init__(gatherer, metrics, admission, host=host, port=port, limits=limits, sweep_seconds=sweep_seconds)
        self.tls = tls
        self.handshakes = Handshakes(max_handshakes)
        self.handshake_timeout_seconds = handshake_timeout_seconds
        metrics.tls_handshakes.labels(self.name).set_function(lambda: len(self.handshakes))
        for reason in FAILURE_REASONS:
            metrics.tls_failures.labels(self.name, reason)
        say_certificate(self.name, tls, metrics)

    def _new_connection(self) -> Connection:
        return TlsConnection(self)

    def apply_tls(self, tls: ServerTls, *, handshake_timeout_seconds: float, max_handshakes: int) -> None:
        """Take what new connections are met with from now on."""
        changed = tls.fingerprint != self.tls.fingerprint
        self.tls = tls
        self.handshake_timeout_seconds = handshake_timeout_seconds
        self.handshakes.places = max_handshakes
        self.handshakes.go_on()
        if changed:
            say_certificate(self.name, tls, self.metrics)

    def failed(self, connection: Connection, failure: Failure) -> None:
        """Take note of a handshake that came to nothing."""
        self.metrics.tls_failures.labels(self.name, failure.reason).inc()
        _log.warning("TLS connection closed", input=self.name, peer=connection.address, reason=failure.words)
