"""Certificates for tests: an authority, and files as an operator would have them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

__all__ = ["LONG_AGO", "Authority", "Files"]

LONG_AGO = {"not_before": datetime(2019, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 1, 1, tzinfo=UTC)}


@dataclass(frozen=True)
class Files:
    """A certificate with its key; what a daemon or a sender is configured with."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    permitted_peers: tuple[str, ...] = ()


class Authority:
    """Issues certificates into a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.file = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, common_name: str | None = None, **dates: Any) -> Files:
        """Issue one for these names; with ``LONG_AGO`` one that has expired."""
        issued = self._ca.issue_cert(*names, common_name=common_name, **dates)
        stem = f"{self.file.stem}-{common_name or names[0]}{'-expired' if dates else ''}"
        certificate, key = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        key.chmod(0o600)
        return Files(certificate, key)

    def client(self, shows: Files | None = None) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority."""
        context = ssl.create_default_context(cafile=self.file)
        if shows is not None:
            context.load_cert_chain(shows.certificate, shows.key)
        return context
