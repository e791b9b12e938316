"""Applications that log straight to the daemon: Python's ``SysLogHandler``, and JSON lines over a socket."""

from __future__ import annotations

import json
import logging
import logging.handlers
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.conftest import HAS_IPV6
from tests.acceptance.daemon_process import DaemonProcess
from tests.acceptance.database import Database
from tests.acceptance.senders import Address, send_stream

KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
TCP_INPUTS = ("tcp", *(("tcp6",) if HAS_IPV6 else ()))
COUNT = 50_000


@contextmanager
def python_logger(to: Address, kind: socket.SocketKind, service: str) -> Iterator[logging.Logger]:
    handler = logging.handlers.SysLogHandler(to, facility="local5", socktype=kind)
    handler.setFormatter(logging.Formatter(f"{service}[%(process)d]: %(message)s"))
    logger = logging.getLogger(service)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    handler.close()


@pytest.mark.parametrize("name", KINDS)
def test_levels_and_tag_of_syslog_handler_are_understood(daemon: DaemonProcess, database: Database, name: str) -> None:
    service = f"handler-{name}"
    with python_logger(daemon.address(name), KINDS[name], service) as logger:
        logger.debug("a")
        logger.info("b")
        logger.warning("c – ü")
        logger.error("d")
        logger.critical("e")
    database.wait_for_rows(service, 5)
    rows = database.fetch("SELECT message, severity FROM logs WHERE service = $1 ORDER BY id", service)
    assert rows == [("a", 7), ("b", 6), ("c – ü", 4), ("d", 3), ("e", 2)]
    assert database.distinct("facility, input, host", service) == [(21, name, None)]


def test_fifty_thousand_messages_of_syslog_handler_over_tcp_arrive_once_each(
    daemon: DaemonProcess, database: Database
) -> None:
    service = "handler-flood"
    with python_logger(daemon.address("tcp"), socket.SOCK_STREAM, service) as logger:
        for number in range(COUNT):
            logger.info("seq=%d user logged in", number)
    database.wait_for_rows(service, COUNT)
    database.assert_each_once(service, COUNT)
    assert database.distinct("severity, facility", service) == [(6, 21)]


def json_lines(service: str, started: datetime) -> Iterator[bytes]:
    for number in range(COUNT):
        document = {
            "timestamp": (started + timedelta(milliseconds=number)).isoformat(),
            "level": ("info", "WARN", "Error")[number % 3],
            "service": service,
            "host": "web-1",
            "trace_id": f"{number:032x}",
            "message": f"seq={number} order placed",
            "user": {"id": number % 1_000},
            "tags": ["shop", "eu"],
        }
        yield json.dumps(document).encode() + b"\n"


@pytest.mark.parametrize("name", TCP_INPUTS)
def test_fifty_thousand_json_lines_arrive_once_each_with_their_fields(
    daemon: DaemonProcess, database: Database, name: str
) -> None:
    service = f"shop-{name}"
    started = datetime.now(UTC) - timedelta(hours=1)
    send_stream(daemon.address(name), json_lines(service, started))
    database.wait_for_rows(service, COUNT)
    database.assert_each_once(service, COUNT)
    assert database.distinct("host, format, input, attrs -> 'tags'", service) == [
        ("web-1", "json", name, '["shop", "eu"]')
    ]
    ((wrong,),) = database.fetch(
        """
        WITH sent AS (SELECT *, substring(message FROM 'seq=(\\d+)')::integer AS number FROM logs WHERE service = $1)
        SELECT count(*) FROM sent
        WHERE severity <> (ARRAY[6, 4, 3])[number % 3 + 1]
           OR ts <> $2::timestamptz + number * interval '1 millisecond'
           OR trace_id <> lpad(to_hex(number), 32, '0')
           OR (attrs #>> '{user,id}')::integer <> number % 1000
        """,
        service,
        started,
    )
    assert wrong == 0


def test_every_message_is_found_once_by_paging_over_http(daemon: DaemonProcess) -> None:
    service, count = "paged", 5_000
    send_stream(daemon.address("tcp"), (b"<14>1 - h %s - - - seq=%d\n" % (service.encode(), n) for n in range(count)))
    found: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {"service": service, "order": "asc", "limit": 1_000}
    while len(found) < count:
        page = daemon.get("/api/v1/logs", parameters).json()
        found += page["logs"]
        if page["next_cursor"]:
            parameters["cursor"] = page["next_cursor"]
    assert [row["message"] for row in found] == [f"seq={number}" for number in range(count)]
