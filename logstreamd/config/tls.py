"""The settings of a listener that speaks TLS: files, and who may connect. :mod:`logstreamd.tls` reads the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from logstreamd.config.names import read_file_path
from logstreamd.config.problems import shown
from logstreamd.config.section import Section
from logstreamd.config.units import Duration, WholeNumber

__all__ = ["InputTlsConfig", "TlsConfig"]

# RFC 1123 section 2.1, with the underscores that are in use, and perhaps one label for any (RFC 6125 section 6.4.3).
_NAME = re.compile(r"(?=.{1,253}$)(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_FINGERPRINT = re.compile(r"sha256:([0-9a-f]{64}|[0-9a-f]{2}(:[0-9a-f]{2}){31})", re.IGNORECASE)


def _read_existing(value: object) -> Path:
    path = read_file_path(value)
    if path is None:
        raise ValueError("is required")
    return path


def _read_peer(value: object) -> str:
    """Return a name or a fingerprint in one spelling; raise ValueError when it is neither."""
    if isinstance(value, str) and _FINGERPRINT.fullmatch(value):
        kind, _, digits = value.lower().partition(":")
        return f"{kind}:{digits.replace(':', '')}"
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value.lower()
    raise ValueError(
        "must be a name such as web-1.example.org or *.example.org, or sha256: and the 64 digits of a certificate's "
        f"fingerprint (got {shown(value)})"
    )


class TlsConfig(Section):
    """What a listener shows, and whom it lets in."""

    certificate: Annotated[Path, PlainValidator(_read_existing)]
    """The certificate and, behind it, those that lead to its authority."""
    key: Annotated[Path, PlainValidator(_read_existing)]
    client_ca: Annotated[Path | None, PlainValidator(read_file_path)] = None
    """Authorities of the clients' certificates. Not given: clients are not asked for one."""
    # Upper bound: a list that a person still reviews.
    permitted_peers: Annotated[tuple[Annotated[str, PlainValidator(_read_peer)], ...], Field(max_length=10_000)] = ()
    """Names and fingerprints; empty: every certificate of ``client_ca``."""
    # Lower bound: a round trip around the world, twice. Upper bound: it is the time that an attacker holds a place.
    handshake_timeout_seconds: Annotated[float, Duration(0.5, 60)] = 10.0

    @field_validator("permitted_peers")
    @classmethod
    def _check_asked(cls, permitted: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if permitted and info.data.get("client_ca", True) is None:
            raise ValueError("needs client_ca: without it no client is asked for a certificate")
        return permitted


class InputTlsConfig(TlsConfig):
    """The same of an input."""

    # Upper bound: each costs some hundred KiB while it lasts.
    max_handshakes: Annotated[int, WholeNumber(1, 10_000)] = 100
