"""Who a certificate is of, and whether it is welcome.

Source: RFC 5425 section 5 (syslog over TLS), RFC 6125 (names in certificates), RFC 4514 (names as text).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["PermittedPeers", "names_in", "subject_of"]

_SHORT_NAMES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_ESCAPED = re.compile(r'[\\",+<>;]|^[ #]| $')


class PermittedPeers:
    """Which certificates are welcome.

    Args:
        permitted: exact DNS names, names whose leftmost label is ``*`` (which stands for exactly one label), and
            fingerprints, ``sha256:`` with 64 hexadecimal digits; empty: every certificate.
    """

    def __init__(self, permitted: Iterable[str]) -> None:
        entries = frozenset(entry.lower() for entry in permitted)
        self._names = frozenset(entry for entry in entries if not entry.startswith(("*.", "sha256:")))
        self._domains = frozenset(entry[1:] for entry in entries if entry.startswith("*."))
        self._fingerprints = frozenset(entry for entry in entries if entry.startswith("sha256:"))

    def permits(self, certificate: Mapping[str, Any], encoded: bytes) -> bool:
        """Decide about a certificate that OpenSSL has verified.

        Args:
            certificate: as ``getpeercert()`` returns it.
            encoded: the same as DER.
        """
        if not (self._names or self._domains or self._fingerprints):
            return True
        if self._fingerprints and f"sha256:{hashlib.sha256(encoded).hexdigest()}" in self._fingerprints:
            return True
        return any(self._has(name.lower()) for name in names_in(certificate))

    def _has(self, name: str) -> bool:
        label, dot, rest = name.partition(".")
        # A certificate for *.example.org names no host: it is permitted by nothing but its fingerprint.
        return label != "*" and (name in self._names or (bool(label) and dot + rest in self._domains))


def names_in(certificate: Mapping[str, Any]) -> list[str]:
    """Return the DNS names of a certificate; the common name counts only without any (RFC 6125 section 6.4.4)."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    return names or [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]


def subject_of(certificate: Mapping[str, Any]) -> str:
    """Write whose certificate it is: ``CN=web-1,O=Example``; one without a subject by its names, ``DNS:web-1``."""
    parts = [_as_text(part) for part in certificate.get("subject", ())]
    if parts:
        return ",".join(reversed(parts))
    return ",".join(f"{kind}:{value}" for kind, value in certificate.get("subjectAltName", ()))


def _as_text(part: Iterable[tuple[str, str]]) -> str:
    return "+".join(f"{_SHORT_NAMES.get(kind, kind)}={_escape(value)}" for kind, value in part)


def _escape(value: str) -> str:
    """Source: RFC 4514 section 2.4."""
    return _ESCAPED.sub(lambda match: f"\\{match[0]}", value).replace("\0", "\\00")
