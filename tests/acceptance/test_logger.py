"""``logger`` over the network: every protocol, format and framing it has."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.conftest import HAS_IPV6
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import logger

FORMATS = ("--rfc3164", "--rfc5424")
INPUTS = ("udp", "tcp", *(("udp6", "tcp6") if HAS_IPV6 else ()))


def new_service() -> str:
    return f"app-{uuid4().hex[:12]}"


def the_row(daemon: DaemonProcess, service: str) -> dict[str, Any]:
    (row,) = wait_for(f"the row of {service}", lambda: daemon.logs(service=service))
    return row


@pytest.mark.parametrize("syslog", FORMATS)
@pytest.mark.parametrize("name", INPUTS)
def test_a_message_arrives_with_every_field(daemon: DaemonProcess, name: str, syslog: str) -> None:
    service = new_service()
    options = f"--{name[:3]} {syslog} --tag {service} --id=4711 --priority local2.err"
    logger(daemon.address(name), *options.split(), "disk failing: sda")
    row = the_row(daemon, service)
    host = socket.gethostname()
    assert row["host"] in (host, host.partition(".")[0])
    assert (row["level"], row["severity"], row["facility"]) == ("error", 3, 18)
    assert (row["proc_id"], row["message"], row["input"]) == ("4711", "disk failing: sda", name)
    assert row["peer"] == ("::1" if name.endswith("6") else "127.0.0.1")


@pytest.mark.parametrize("syslog", FORMATS)
def test_an_octet_counted_message_may_hold_line_feeds(daemon: DaemonProcess, database: Database, syslog: str) -> None:
    service = new_service()
    logger(daemon.address("tcp"), "--tcp", "--octet-count", syslog, "--tag", service, "first\nsecond – dritte")
    assert the_row(daemon, service)["message"] == "first\nsecond – dritte"
    assert database.distinct("format", service) == [(syslog[2:],)]


def test_structured_data_and_message_id_arrive(daemon: DaemonProcess) -> None:
    service = new_service()
    options = f"--tcp --rfc5424=notq --tag {service} --msgid ID47 --sd-id zoo@32473 --sd-param"
    logger(daemon.address("tcp"), *options.split(), 'tiger="hungry"', "--sd-param", 'lion="half asleep"', "feeding")
    row = the_row(daemon, service)
    assert row["msg_id"] == "ID47"
    assert row["attrs"]["zoo@32473"] == {"tiger": "hungry", "lion": "half asleep"}


def test_a_file_of_lines_arrives_in_order(daemon: DaemonProcess, database: Database, tmp_path: Path) -> None:
    service = new_service()
    lines = [f"seq={number} of many" for number in range(1_000)]
    file = tmp_path / "lines"
    file.write_text("\n".join(lines) + "\n")
    logger(daemon.address("tcp"), "--tcp", "--octet-count", "--tag", service, "--file", str(file))
    database.wait_for_rows(service, len(lines))
    stored = database.fetch("SELECT message FROM logs WHERE service = $1 ORDER BY id", service)
    assert [message for (message,) in stored] == lines
