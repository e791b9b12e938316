"""rsyslogd forwards a file: every line is in the table exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess
from tests.acceptance.database import Database
from tests.acceptance.senders import forward_file

RFC5424 = "RSYSLOG_SyslogProtocol23Format"
OVER_TCP = 50_000
OVER_UDP = 5_000


def write_lines(path: Path, count: int) -> Path:
    path.write_text(
        "".join(f"seq={number} GET /cart/{number % 97} took {number % 311} ms\n" for number in range(count))
    )
    return path


@pytest.mark.parametrize(
    ("tag", "framing", "template"),
    [
        ("octet-counted", 'TCP_Framing="octet-counted"', RFC5424),
        ("by-line", 'TCP_Framing="traditional"', RFC5424),
        ("by-line-3164", 'TCP_Framing="traditional"', "legacy"),
    ],
)
def test_fifty_thousand_lines_over_tcp_arrive_once_each(
    daemon: DaemonProcess, database: Database, tmp_path: Path, tag: str, framing: str, template: str
) -> None:
    file = write_lines(tmp_path / "lines", OVER_TCP)
    with forward_file(file, daemon.address("tcp"), tag=tag, protocol="tcp", framing=framing, template=template):
        database.wait_for_rows(tag, OVER_TCP)
    database.assert_each_once(tag, OVER_TCP)
    syslog = "rfc3164" if template == "legacy" else "rfc5424"
    assert database.distinct("host, facility, severity, input, format", tag) == [
        ("relay.example", 19, 4, "tcp", syslog)
    ]
    assert daemon.ledger("tcp")["imbalance"] == 0


@pytest.mark.parametrize(("tag", "template"), [("datagrams", RFC5424), ("datagrams-3164", "legacy")])
def test_lines_over_udp_arrive_once_each(
    daemon: DaemonProcess, database: Database, tmp_path: Path, tag: str, template: str
) -> None:
    file = write_lines(tmp_path / "lines", OVER_UDP)
    # A pause between datagrams: an ordinary user's receive buffer holds only a few hundred.
    with forward_file(
        file, daemon.address("udp"), tag=tag, protocol="udp", framing='UDP.SendDelay="20"', template=template
    ):
        database.wait_for_rows(tag, OVER_UDP)
    database.assert_each_once(tag, OVER_UDP)
    assert database.distinct("host, facility, severity, input", tag) == [("relay.example", 19, 4, "udp")]
