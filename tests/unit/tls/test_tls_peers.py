from __future__ import annotations

import hashlib
from typing import Any

import pytest

from logstreamd.tls import PermittedPeers, subject_of

DER = b"a certificate"


def certificate(*names: str, common_name: str = "web-1", kind: str = "DNS") -> dict[str, Any]:
    return {
        "subject": ((("countryName", "DE"),), (("commonName", common_name),)),
        "subjectAltName": tuple((kind, name) for name in names),
    }


@pytest.mark.parametrize(
    ("permitted", "names", "welcome"),
    [
        ([], ["web-1.example.org"], True),
        (["web-1.example.org"], ["web-1.example.org"], True),
        (["Web-1.Example.ORG"], ["web-1.example.org"], True),
        (["web-1.example.org"], ["WEB-1.example.org"], True),
        (["web-1.example.org"], ["db-1.example.org", "web-1.example.org"], True),
        (["web-1.example.org"], ["web-11.example.org"], False),
        (["web-1.example.org"], ["web-1.example.org.evil.test"], False),
        (["*.example.org"], ["web-1.example.org"], True),
        (["*.example.org"], ["a.b.example.org"], False),
        (["*.example.org"], ["example.org"], False),
        (["*.example.org"], [".example.org"], False),
        (["*.example.org"], ["webexample.org"], False),
        (["*.example.org"], ["*.example.org"], False),
        (["web-1"], ["db-1.example.org"], False),
        (["web-1.example.org"], [], False),
    ],
)
def test_names_permit_exactly_or_by_their_leftmost_label(permitted: list[str], names: list[str], welcome: bool) -> None:
    assert PermittedPeers(permitted).permits(certificate(*names), DER) is welcome


def test_the_common_name_counts_only_without_dns_names() -> None:
    permitted = PermittedPeers(["web-1"])
    assert permitted.permits(certificate(), DER)
    assert permitted.permits(certificate("192.0.2.1", kind="IP Address"), DER)
    assert not permitted.permits(certificate("other.example.org"), DER)


def test_a_fingerprint_permits_whatever_the_names() -> None:
    permitted = PermittedPeers([f"sha256:{hashlib.sha256(DER).hexdigest()}"])
    assert permitted.permits(certificate(), DER)
    assert not permitted.permits(certificate(), b"another certificate")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (((("organizationName", "Example"),), (("commonName", "web-1"),)), "CN=web-1,O=Example"),
        (((("commonName", 'a,b+c"d\\e<f>g;h'),),), 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'),
        (((("commonName", "#x "),),), "CN=\\#x\\ "),
        (((("commonName", " "),),), "CN=\\ "),
        (((("commonName", "a\0b"),),), "CN=a\\00b"),
        (((("commonName", "a"), ("userId", "b")),), "CN=a+UID=b"),
        (((("emailAddress", "a@b"),),), "emailAddress=a@b"),
        ((), "DNS:web-1,DNS:web-2"),
    ],
)
def test_subjects_are_written_as_rfc_4514_has_them(subject: Any, text: str) -> None:
    assert subject_of({"subject": subject, "subjectAltName": (("DNS", "web-1"), ("DNS", "web-2"))}) == text
