"""OpenSSL's errors → why a handshake came to nothing, for a metric and for a person."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

from logstreamd.tls.peers import names_in, subject_of

__all__ = ["FAILURE_REASONS", "Failure", "failure_of", "not_permitted", "openssl_words"]

FAILURE_REASONS = ("timeout", "plain_text", "no_certificate", "unknown_ca", "expired", "not_permitted", "other")
"""Why a handshake came to nothing: a closed set."""

# X509_V_ERR_* of OpenSSL.
_EXPIRED = 10
_NOT_YET_VALID = 9
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})

_MAX_NAMES = 5  # a certificate has one or two; one with a hundred is still told apart by the first


class Failure(NamedTuple):
    """Why a handshake came to nothing.

    Attributes:
        reason: one of :data:`FAILURE_REASONS`.
        words: the same for the operator.
    """

    reason: str
    words: str


def failure_of(error: ssl.SSLError) -> Failure:
    """Say why OpenSSL gave up a handshake."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification_failure(error)
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Failure("no_certificate", "the sender shows no certificate")
    if reason in ("UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER", "VERSION_TOO_LOW"):
        return Failure("other", "the sender offers no TLS version from 1.2 on")
    if reason in ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST"):
        return Failure("plain_text", "a client speaks plain HTTP to the HTTPS port")
    if reason == "NO_SHARED_CIPHER":
        return Failure("other", "the sender and this daemon have no cipher in common")
    if "ALERT" in reason:
        words = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return Failure("other", f"the sender refuses this daemon or its certificate: {words}")
    return Failure("other", f"the TLS handshake failed: {openssl_words(error)}")


def _verification_failure(error: ssl.SSLCertVerificationError) -> Failure:
    if error.verify_code == _EXPIRED:
        return Failure("expired", "the sender's certificate has expired")
    if error.verify_code == _NOT_YET_VALID:
        return Failure("other", "the sender's certificate is not valid yet")
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return Failure("unknown_ca", f"the sender's certificate is of an unknown authority: {error.verify_message}")
    return Failure("other", f"the sender's certificate is refused: {error.verify_message}")


def not_permitted(certificate: Mapping[str, Any]) -> Failure:
    """Say whose certificate was not welcome, and which names in ``permitted_peers`` would have let it in.

    Args:
        certificate: as ``getpeercert()`` returns it.
    """
    names = names_in(certificate)
    shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    subject = subject_of(certificate)
    return Failure("not_permitted", f"the certificate of {subject} is not permitted; its names: {shown or 'none'}")


def openssl_words(error: ssl.SSLError) -> str:
    """Return what OpenSSL says, as plain words."""
    return error.reason.replace("_", " ").lower() if error.reason else "damaged, or not PEM"
