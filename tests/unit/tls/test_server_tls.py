from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from certificates import LONG_AGO, Authority, Files

from logstreamd.tls import TlsError, load_server_tls


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def good(authority: Authority) -> Files:
    return authority.issue("localhost", common_name="localhost")


def test_a_certificate_with_its_key_is_taken(good: Files) -> None:
    tls = load_server_tls(good)
    assert tls.subject.startswith("CN=localhost,OU=")
    assert (tls.asks_for_certificates, tls.warnings) == (False, ())
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.context.verify_mode is ssl.CERT_NONE


def test_with_authorities_clients_must_show_a_certificate(authority: Authority, good: Files) -> None:
    tls = load_server_tls(replace(good, client_ca=authority.file))
    assert tls.asks_for_certificates
    assert tls.context.verify_mode is ssl.CERT_REQUIRED


def test_a_key_that_everybody_can_read_is_warned_of(authority: Authority) -> None:
    files = authority.issue("careless")
    files.key.chmod(0o644)
    assert load_server_tls(files).warnings == (
        f"{files.key}: everybody on this machine can read the key; chmod o-r it",
    )


def damaged(files: Files, path: Path) -> Files:
    bad = path / "damaged.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    return replace(files, certificate=bad)


def damaged_key(files: Files, path: Path) -> Files:
    bad = path / "damaged.key"
    bad.write_text("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    return replace(files, key=bad)


def encrypted(files: Files, path: Path) -> Files:
    key = path / "encrypted.key"
    command = ["openssl", "pkey", "-in", files.key, "-aes256", "-passout", "pass:secret", "-out", key]
    subprocess.run(command, check=True)
    return replace(files, key=key)


def huge(files: Files, path: Path) -> Files:
    bundle = path / "huge.pem"
    bundle.write_bytes(b"x" * (1 << 20) + b"x")
    return replace(files, client_ca=bundle)


@pytest.mark.parametrize(
    ("spoil", "setting", "problem"),
    [
        (lambda files, path: replace(files, certificate=path / "none"), "certificate", "cannot be read: No such file"),
        (lambda files, path: replace(files, key=path), "key", "cannot be read: Is a directory"),
        (lambda files, path: replace(files, certificate=files.key), "certificate", "has no certificate in it"),
        (lambda files, path: replace(files, key=files.certificate), "key", "has no private key in it"),
        (lambda files, path: replace(files, client_ca=files.key), "client_ca", "has no certificate in it"),
        (lambda files, path: replace(files, key=Authority(path).issue("x").key), "key", "is not the key of"),
        (
            lambda files, path: Authority(path).issue("x", **LONG_AGO),
            "certificate",
            "is refused: certificate has expired",
        ),
        (damaged, "certificate", "cannot be used: damaged, or not PEM"),
        (damaged_key, "key", "cannot be used: damaged, or not PEM"),
        (encrypted, "key", "is encrypted; a daemon needs a key without a passphrase"),
        (huge, "client_ca", "is larger than 1048576 bytes"),
    ],
)
def test_what_cannot_work_is_named_with_its_file(
    good: Files, tmp_path: Path, spoil: Callable[[Files, Path], Files], setting: str, problem: str
) -> None:
    spoilt = spoil(good, tmp_path)
    with pytest.raises(TlsError) as refusal:
        load_server_tls(spoilt)
    assert refusal.value.setting == setting
    assert str(refusal.value).startswith(f"{getattr(spoilt, setting)}: {problem}")
