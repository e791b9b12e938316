"""TLS for whoever listens: contexts from files, names from certificates, reasons from errors. Knows of no sockets."""

from __future__ import annotations

from logstreamd.tls.failures import FAILURE_REASONS, Failure, failure_of, not_permitted, openssl_words
from logstreamd.tls.peers import PermittedPeers, subject_of
from logstreamd.tls.server import ServerTls, TlsError, TlsSettings, load_server_tls

__all__ = [
    "FAILURE_REASONS",
    "Failure",
    "PermittedPeers",
    "ServerTls",
    "TlsError",
    "TlsSettings",
    "failure_of",
    "load_server_tls",
    "not_permitted",
    "openssl_words",
    "subject_of",
]
