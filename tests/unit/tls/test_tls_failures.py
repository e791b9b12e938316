"""Handshakes in memory that come to nothing: what is said about them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import LONG_AGO, Authority

from logstreamd.tls import Failure, failure_of, load_server_tls, not_permitted

FAR_FUTURE = {"not_before": datetime(2090, 1, 1, tzinfo=UTC), "not_after": datetime(2091, 1, 1, tzinfo=UTC)}


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> Failure:
    """Shake hands until the server gives up; return what it says."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(down, up, server_hostname="localhost")
    other = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        try:
            one.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            assert error.reason is not None  # the client says why in an alert
        try:
            other.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            return failure_of(error)
    raise AssertionError("they agree")


def no_common_cipher(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    server.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")


def as_they_are(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Leave both alone."""


@pytest.mark.parametrize(
    ("dates", "change", "reason", "words"),
    [
        (None, as_they_are, "no_certificate", "the sender shows no certificate"),
        (LONG_AGO, as_they_are, "expired", "the sender's certificate has expired"),
        (FAR_FUTURE, as_they_are, "other", "the sender's certificate is not valid yet"),
        ({}, no_common_cipher, "other", "the sender and this daemon have no cipher in common"),
    ],
)
def test_each_has_a_reason_and_words(
    tmp_path: Path,
    dates: dict[str, datetime] | None,
    change: Callable[[ssl.SSLContext, ssl.SSLContext], None],
    reason: str,
    words: str,
) -> None:
    authority = Authority(tmp_path)
    server = load_server_tls(replace(authority.issue("localhost"), client_ca=authority.file)).context
    client = authority.client(None if dates is None else authority.issue("web-1", **dates))
    change(server, client)
    assert shake(server, client) == (reason, words)


def test_a_sender_that_does_not_trust_us_says_so(tmp_path: Path) -> None:
    server = load_server_tls(Authority(tmp_path).issue("localhost")).context
    failure = shake(server, Authority(tmp_path, "foreign").client())
    assert failure == ("other", "the sender refuses this daemon or its certificate: unknown ca")


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["web-1.example.org"], "web-1.example.org"),
        ([], "web-1"),
        ([f"n{number}" for number in range(9)], "n0, n1, n2, n3, n4, …"),
    ],
)
def test_a_certificate_that_is_not_permitted_is_told_with_the_names_that_could_be(names: list[str], shown: str) -> None:
    certificate = {
        "subject": ((("commonName", "web-1"),),),
        "subjectAltName": tuple(("DNS", name) for name in names),
    }
    words = f"the certificate of CN=web-1 is not permitted; its names: {shown}"
    assert not_permitted(certificate) == Failure("not_permitted", words)


def test_a_certificate_without_any_name_says_so() -> None:
    assert not_permitted({"subject": ((("organizationName", "x"),),)}).words.endswith("its names: none")
