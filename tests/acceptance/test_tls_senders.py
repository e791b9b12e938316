"""A daemon that speaks TLS, to rsyslog with both of its TLS drivers and to the commands."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import ask
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.reloading import Reloading
from tests.acceptance.senders import forward_file, numbered_lines
from tests.certificates import Authority, Files

LINES = 20_000
MODULES = (
    Path("/usr/lib/x86_64-linux-gnu/rsyslog"),
    Path("/usr/lib/aarch64-linux-gnu/rsyslog"),
    Path("/usr/lib/rsyslog"),
)
PACKAGES = {"ossl": "rsyslog-openssl", "gtls": "rsyslog-gnutls"}


def section(files: Files) -> dict[str, Any]:
    """The section ``tls`` of a configuration."""
    return {
        name: list(value) if isinstance(value, tuple) else value and str(value) for name, value in asdict(files).items()
    }


@dataclass
class Secured:
    """The daemon, the authority of everybody, and certificates."""

    daemon: DaemonProcess
    authority: Authority
    server: Files
    relay: Files

    def connect(self, name: str, shows: Files | None = None) -> ssl.SSLSocket:
        sock = socket.create_connection(self.daemon.address(name), timeout=30)
        return self.authority.client(shows).wrap_socket(sock, server_hostname="localhost")

    def send(self, name: str, lines: list[bytes], shows: Files | None = None) -> None:
        with self.connect(name, shows) as sender:
            sender.sendall(b"".join(lines))

    def failures(self) -> dict[str, float]:
        """Return how many handshakes came to nothing, by reason."""
        lines = self.daemon.get("/metrics").body.decode().splitlines()
        found = [line for line in lines if line.startswith('logstreamd_tls_failures_total{input="tls"')]
        return {line.partition('reason="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in found}


@pytest.fixture(scope="module")
def secured(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    server = authority.issue("localhost", "127.0.0.1", common_name="localhost")
    relay = authority.issue("relay.example.org", common_name="relay")
    mutual = replace(server, client_ca=authority.file, permitted_peers=("*.example.org",))
    daemon = DaemonProcess(
        directory / "state",
        dsn=make_database(),
        inputs=[
            {"type": "tls", "listen": "127.0.0.1:0", "tls": section(mutual)},
            {"type": "tls", "name": "open", "listen": "127.0.0.1:0", "tls": section(server)},
        ],
        settings={"http": {"listen": "127.0.0.1:0", "tls": section(server)}},
    )
    daemon.trust = authority.client()
    try:
        yield Secured(daemon.start(), authority, server, relay)
        daemon.stop()
    finally:
        daemon.dispose()


@pytest.fixture
def database(secured: Secured) -> Iterator[Database]:
    with Database(secured.daemon.psql) as database:
        yield database


@pytest.mark.parametrize("driver", ["ossl", "gtls"])
def test_rsyslog_is_served_over_mutual_tls_and_its_certificate_named(
    secured: Secured, database: Database, tmp_path: Path, driver: str
) -> None:
    if not any((directory / f"lmnsd_{driver}.so").exists() for directory in MODULES):
        pytest.skip(f"rsyslog's lmnsd_{driver} is not installed (Debian: apt-get install {PACKAGES[driver]})")
    file = tmp_path / "lines"
    file.write_text("".join(f"seq={number} GET /cart/{number % 97}\n" for number in range(LINES)))
    certificates = (
        f'defaultNetstreamDriverCAFile="{secured.authority.file}" '
        f'defaultNetstreamDriverCertFile="{secured.relay.certificate}" '
        f'defaultNetstreamDriverKeyFile="{secured.relay.key}"'
    )
    action = (
        f'TCP_Framing="octet-counted" StreamDriver="{driver}" StreamDriverMode="1" '
        'StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"'
    )
    with forward_file(
        file,
        secured.daemon.address("tls"),
        tag=driver,
        protocol="tcp",
        framing=action,
        template="RSYSLOG_SyslogProtocol23Format",
        certificates=certificates,
    ):
        database.wait_for_rows(driver, LINES)
    database.assert_each_once(driver, LINES)
    ((peer, subject, source),) = database.distinct("host(peer), attrs->>'tls_subject', input", driver)
    assert (peer, source) == ("127.0.0.1", "tls")
    assert subject.startswith("CN=relay,OU=")
    assert secured.daemon.ledger("tls")["imbalance"] == 0


def test_the_subject_can_be_searched_for(secured: Secured) -> None:
    secured.send("tls", numbered_lines("searched", 3), secured.relay)
    wait_for("three rows", lambda: len(secured.daemon.logs(q="service:searched attrs.tls_subject:CN=relay*")) == 3)
    assert secured.daemon.logs(q="service:searched attrs.tls_subject:CN=other*") == []


def test_strangers_are_told_apart_in_metrics_and_log(secured: Secured, tmp_path: Path) -> None:
    foreign = Authority(tmp_path).issue("relay.example.org")
    other = secured.authority.issue("relay.example.net", common_name="other")
    before = secured.failures()
    for shown in (None, foreign, other):
        with pytest.raises(OSError), secured.connect("tls", shown) as sender:
            sender.sendall(b"<14>never\n")
            while sender.recv(1):
                pass
            raise ConnectionError("closed")
    with socket.create_connection(secured.daemon.address("tls"), timeout=30) as plain:
        plain.sendall(b"<14>never\n")
        assert plain.recv(1) == b""
    for reason in ("no_certificate", "unknown_ca", "not_permitted", "plain_text"):
        wait_for(reason, lambda reason=reason: secured.failures()[reason] == before[reason] + 1)
    said = [line["reason"] for line in secured.daemon.events("TLS connection closed")]
    assert "the sender shows no certificate" in said
    assert any(reason.startswith("the certificate of CN=other,OU=") for reason in said)
    assert "a sender speaks plain text to the TLS port" in said


def test_the_commands_ask_over_https(secured: Secured) -> None:
    secured.send("open", numbered_lines("https", 2))
    wait_for("two rows", lambda: len(secured.daemon.logs(service="https")) == 2)
    done = ask(secured.daemon, "query", "--service", "https", "--json", LOGSTREAMD_CA=str(secured.authority.file))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    distrusting = ask(secured.daemon, "query", "--service", "https")
    assert distrusting.returncode != 0
    assert "certificate" in distrusting.stderr


def test_renewed_certificates_are_in_force_after_a_reload_and_damaged_ones_are_not(
    secured: Secured, database: Database
) -> None:
    reloading = Reloading(secured.daemon)
    successor = secured.authority.issue("localhost", "127.0.0.1", common_name="successor")
    old_certificate, old_key = secured.server.certificate.read_bytes(), secured.server.key.read_bytes()
    with secured.connect("open") as staying:
        staying.sendall(b"".join(numbered_lines("renewed", 100)))
        secured.server.certificate.write_bytes(successor.certificate.read_bytes())
        problems = reloading.refused()
        assert len(problems) == 3  # two inputs and HTTP
        assert all("is not the key of" in problem for problem in problems)
        assert common_name(secured, "open") == "localhost"
        secured.server.key.write_bytes(successor.key.read_bytes())
        reloading.apply()
        assert common_name(secured, "open") == common_name(secured, "tls", secured.relay) == "successor"
        staying.sendall(b"".join(numbered_lines("renewed", 100, first=100)))
    secured.send("open", numbered_lines("renewed", 100, first=200))
    database.wait_for_rows("renewed", 300)
    database.assert_each_once("renewed", 300)
    assert secured.daemon.get("/health").status == 200
    secured.server.certificate.write_bytes(old_certificate)
    secured.server.key.write_bytes(old_key)
    reloading.apply()


def common_name(secured: Secured, name: str, shows: Files | None = None) -> str:
    """Return whose certificate an input shows to a new connection."""
    with secured.connect(name, shows) as sock:
        subject = dict(part[0] for part in sock.getpeercert()["subject"])  # type: ignore[index]
        return str(subject["commonName"])


def test_what_check_config_finds_is_said_with_its_place(secured: Secured, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    inputs = [
        {"type": "tls", "listen": "127.0.0.1:0", "tls": {**section(secured.server), "key": str(tmp_path / "none")}}
    ]
    config.write_text(json.dumps({"state_dir": str(tmp_path), "inputs": inputs}))
    done = ask(secured.daemon, "check-config", "--config", str(config))
    assert done.returncode != 0
    assert f"inputs[0].tls.key: {tmp_path}/none: cannot be read: No such file or directory" in done.stderr
