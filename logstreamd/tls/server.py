"""Certificates and keys → what a listener needs to speak TLS.

Whether a certificate is any good is found out before anybody connects: it is rehearsed, in memory, with a client that
checks it as real ones do, but for its name. Who may connect is two questions: is the certificate of an authority that
``client_ca`` holds (OpenSSL's to answer), and is it one of ``permitted_peers`` (:class:`.peers.PermittedPeers`).

Source: RFC 5425 sections 4.2 and 5.
"""

from __future__ import annotations

import hashlib
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from logstreamd.tls.failures import openssl_words
from logstreamd.tls.peers import PermittedPeers, subject_of

__all__ = ["ServerTls", "TlsError", "TlsSettings", "load_server_tls"]

_MAX_FILE_BYTES = 1 << 20  # a bundle of every public authority is a quarter of that
_REHEARSAL_STEPS = 10  # TLS 1.3 takes two each way, TLS 1.2 three


class TlsSettings(Protocol):
    """Which files, and who may connect."""

    @property
    def certificate(self) -> Path:
        """The server's certificate, and after it those that lead to its authority (PEM)."""

    @property
    def key(self) -> Path:
        """Its private key (PEM, without a passphrase)."""

    @property
    def client_ca(self) -> Path | None:
        """Authorities of clients' certificates (PEM); None: clients are not asked for one."""

    @property
    def permitted_peers(self) -> tuple[str, ...]:
        """Names and fingerprints, see :class:`PermittedPeers`; empty: every certificate of ``client_ca``."""


class TlsError(OSError):
    """A file is not what TLS needs.

    Attributes:
        setting: which of the settings names it.
    """

    def __init__(self, setting: str, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.setting = setting


@dataclass(frozen=True)
class ServerTls:
    """What a listener needs for new connections; it is replaced as a whole when the files have changed.

    Attributes:
        context: with certificate, key and authorities.
        asks_for_certificates: whether clients must show one.
        permitted: which of them are welcome.
        subject: whose certificate the server's is.
        fingerprint: SHA-256 of it.
        expires_at: when it is no longer valid, seconds since the epoch.
        warnings: what is not wrong, but not good either.
    """

    context: ssl.SSLContext
    asks_for_certificates: bool
    permitted: PermittedPeers
    subject: str
    fingerprint: str
    expires_at: int
    warnings: tuple[str, ...]


def load_server_tls(settings: TlsSettings) -> ServerTls:
    """Read certificate, key and authorities, and see that they work together.

    Raises:
        TlsError: they don't; the message has the file and the reason.
    """
    context = _new_context()
    client = _client_trusting(settings.certificate)
    _load_key(context, settings)
    shown = _rehearse(context, client, settings.certificate)
    certificate = shown.getpeercert() or {}
    if settings.client_ca is not None:
        _trust(context, settings.client_ca, "client_ca")
        context.verify_mode = ssl.CERT_REQUIRED
    return ServerTls(
        context,
        settings.client_ca is not None,
        PermittedPeers(settings.permitted_peers),
        subject_of(certificate),
        hashlib.sha256(shown.getpeercert(binary_form=True) or b"").hexdigest(),
        int(ssl.cert_time_to_seconds(str(certificate["notAfter"]))),
        tuple(_warnings(settings)),
    )


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    # A sender that only writes never reads a ticket, and closing with something unread resets the connection: what it
    # had written last could be lost. Senders connect rarely, and a certificate that has gone must not live on in one.
    context.num_tickets = 0
    # What the operator lists in client_ca is trusted as it is, an authority in the middle or a certificate itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _load_key(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Load the key with its certificate, which is known to be one."""
    _check_file("key", settings.key, b"PRIVATE KEY-----", "private key")

    def refuse_passphrase() -> NoReturn:
        raise TlsError("key", settings.key, "is encrypted; a daemon needs a key without a passphrase")

    try:
        context.load_cert_chain(settings.certificate, settings.key, password=refuse_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError("key", settings.key, f"is not the key of {settings.certificate}") from error
        raise TlsError("key", settings.key, f"cannot be used: {openssl_words(error)}") from error


def _check_file(setting: str, path: Path, mark: bytes, kind: str) -> None:
    """Find out what OpenSSL would not say: which file it is, and that it is another one than was meant."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TlsError(setting, path, f"cannot be read: {error.strerror}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise TlsError(setting, path, f"is larger than {_MAX_FILE_BYTES} bytes")
    if mark not in content:
        raise TlsError(setting, path, f"has no {kind} in it (PEM is needed)")


def _trust(context: ssl.SSLContext, path: Path, setting: str) -> None:
    _check_file(setting, path, b"CERTIFICATE-----", "certificate")
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise TlsError(setting, path, f"cannot be used: {openssl_words(error)}") from error


def _client_trusting(certificate: Path) -> ssl.SSLContext:
    """Return a client that trusts just this certificate, whatever name it has."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _trust(client, certificate, "certificate")
    return client


def _rehearse(context: ssl.SSLContext, client_context: ssl.SSLContext, certificate: Path) -> ssl.SSLObject:
    """Shake hands in memory.

    Returns:
        The client, which has seen the certificate.

    Raises:
        TlsError: a client refuses it: it has expired, or is not for a server.
    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = context.wrap_bio(up, down, server_side=True), client_context.wrap_bio(down, up)
    for _ in range(_REHEARSAL_STEPS):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:  # it is the other's turn
                continue
            except ssl.SSLCertVerificationError as error:
                raise TlsError("certificate", certificate, f"is refused: {error.verify_message}") from error
            except ssl.SSLError as error:
                raise TlsError("certificate", certificate, f"is refused: {openssl_words(error)}") from error
    return client


def _warnings(settings: TlsSettings) -> Iterator[str]:
    if settings.key.stat().st_mode & stat.S_IROTH:
        yield f"{settings.key}: everybody on this machine can read the key; chmod o-r it"
