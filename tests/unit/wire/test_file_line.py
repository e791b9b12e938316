from __future__ import annotations

from datetime import UTC, datetime

import pytest
from batches import ARRIVAL_US
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.record import LEVELS, Record
from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch, FilePosition
from logstreamd.wire.file_line import parse_line, service_of_path
from logstreamd.wire.file_rows import encode_batch_rows
from logstreamd.wire.line_level import find_level
from logstreamd.wire.policy import Policy

GENERATED = (
    b"2026-11-22 02:23:45 | INFO    | abc-1234 | user-service | user-67890 | req-xyz789 | 142ms | User login | twice"
)
ACCESS = b'192.0.2.1 - ana [22/Nov/2026:02:10:00 +0100] "GET /users HTTP/1.1" %d 512 "-" "curl"'


def read(line: bytes, flags: int = 0, path: str = "/logs/app.log", **policy: object) -> Record:
    return parse_line(line, ARRIVAL_US, Policy(**policy), flags, path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b"2026-11-22 03:00:00,123 ERROR [main] c.e.Shop - no INFO", "error"),
        (b"2026/11/22 03:00:00 [warn] 7#7: upstream", "warning"),
        (b"ts=1 level=error msg=x", "error"),
        (b"time=x lvl=dbug severity=WARN", "warning"),
        (b'{broken "level":"fatal"', "critical"),
        (b"[2026-11-22T03:00:00Z INFO  shop::main] up", "info"),
        (b"ERROR:root:cannot", "error"),
        (b"error: cannot open", "error"),
        (b"SEVERE: startup failed", "error"),
        (b"E1122 03:00:00.678901 1 file.go:12] lost", "error"),
        (b"W1122 03:00:00.678901 1 file.go:12] slow", "warning"),
        (b"03:00 | CRITICAL | disk", "critical"),
        (b"Traceback (most recent call last):\n  File", "error"),
        (b'Exception in thread "main" java.lang.Error', "error"),
        (b"panic: runtime error: index out of range", "error"),
        (b"ValueError: no", "error"),
        (b"the user saw an error page", "notice"),
        (b"GET /ERROR/x", "notice"),
        (b"INFORMATION follows", "notice"),
        (b"x" * 200 + b" ERROR", "notice"),
        (ACCESS % 200, "info"),
        (ACCESS % 404, "warning"),
        (ACCESS % 503, "error"),
        (GENERATED, "info"),
        (b"<11>Nov 22 03:00:00 host app[1]: fine", "error"),
        (b"Nov 22 03:00:00 host app[1]: WARN slow", "warning"),
    ],
)
def test_the_level_is_what_the_line_says(line: bytes, level: str) -> None:
    assert LEVELS[read(line).severity] == level


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (b"2026-11-22 02:10:00 up", "2026-11-22T02:10:00"),
        (b"2026-11-22 02:10:00,250 INFO up", "2026-11-22T02:10:00.250000"),
        (b"2026-11-22T02:10:00.5Z up", "2026-11-22T02:10:00.500000"),
        (b"2026-11-22T04:10:00+02:00 INFO main: up", "2026-11-22T02:10:00"),
        (b"[2026-11-22 02:10:00 UTC] up", "2026-11-22T02:10:00"),
        (b"2026/11/22 02:10:00 up", "2026-11-22T02:10:00"),
        (b"1795313400.250 up", "2026-11-22T02:10:00.250000"),
        (ACCESS % 200, "2026-11-22T01:10:00"),
        (GENERATED, "2026-11-22T02:23:45"),
        (b"Nov 22 02:10:00 host app[1]: up", "2026-11-22T02:10:00"),
        (b"2026-13-22 02:10:00 no month", "2026-11-22T03:00:00"),
        (b"2026-11-22 02:10:0012 no stamp", "2026-11-22T03:00:00"),
        (b'x - - [99/Nov/2026:02:10:00 +0100] "GET" 200 1', "2026-11-22T03:00:00"),
        (b"up since 2026-11-22 02:10:00", "2026-11-22T03:00:00"),
    ],
)
def test_the_time_is_what_the_line_begins_with(line: bytes, time: str) -> None:
    found = datetime.fromtimestamp(read(line).ts / 1e6, UTC).replace(tzinfo=None)
    assert found == datetime.fromisoformat(time)


def test_columns_in_bars_go_to_their_places() -> None:
    record = read(GENERATED)
    assert (record.service, record.message, record.format) == ("user-service", "User login | twice", "raw")
    assert record.attrs == {
        "id": "abc-1234",
        "user_id": "user-67890",
        "request_id": "req-xyz789",
        "duration_ms": 142,
        "file": "/logs/app.log",
    }


def test_other_bars_are_a_plain_line() -> None:
    line = b"2026-11-22 02:23:45 | INFO | a | b | c | d | no duration | text"
    assert read(line).message == line.decode()


def test_a_line_is_kept_whole_and_says_its_file() -> None:
    record = read(b"2026-11-22 02:10:00 INFO up", path="/var/log/shop/user-service.log.1")
    assert record.message == "2026-11-22 02:10:00 INFO up"
    assert (record.service, record.attrs) == ("user-service", {"file": "/var/log/shop/user-service.log.1"})


def test_json_keeps_its_own_file_and_service() -> None:
    record = read(b'{"message": "up", "service": "shop", "file": "main.py", "level": "warn"}')
    assert (record.message, record.service, record.format, LEVELS[record.severity]) == ("up", "shop", "json", "warning")
    assert record.attrs == {"file": "main.py", "logstreamd": {"file": "/logs/app.log"}}


def test_syslog_lines_are_read_as_on_a_socket() -> None:
    record = read(b"2026-11-22T02:10:00.123456+00:00 host sshd[7]: Accepted", path="/var/log/auth.log")
    assert (record.host, record.service, record.proc_id, record.message) == ("host", "sshd", "7", "Accepted")


def test_the_service_of_the_input_comes_before_the_name_of_the_file() -> None:
    assert read(b"up", service="billing").service == "billing"


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/logs/app.log", "app"),
        ("/logs/app.log.1", "app"),
        ("/logs/app.log-20261122", "app"),
        ("/logs/app-2026-11-22.log", "app"),
        ("/logs/worker-1.log", "worker"),
        ("/logs/messages", "messages"),
        ("/logs/.hidden", ".hidden"),
    ],
)
def test_a_service_is_named_after_its_file(path: str, service: str) -> None:
    assert service_of_path(path) == service


def test_marks_become_flags() -> None:
    assert read(b"plain", TRUNCATED | PARTIAL).attrs["logstreamd"]["flags"] == ["truncated", "partial"]


@given(st.binary(max_size=400))
def test_any_bytes_are_a_row(line: bytes) -> None:
    batch = Batch("file")
    batch.positions = {(1, 2): FilePosition(1, 2, 3, bytes(8), "/logs/\udcff.log")}
    batch.append(line, ARRIVAL_US, batch.peer_id("/logs/\udcff.log"))
    assert len(encode_batch_rows(batch, 65_536, Policy())) == 1


def test_a_batch_of_messages_does_not_come_by_here() -> None:
    batch = Batch("tcp")
    batch.append(b"<11>hello", ARRIVAL_US, batch.peer_id("192.0.2.1"))
    assert b"\xc0\x00\x02\x01" in encode_batch_rows(batch, 65_536, Policy()).rows  # the sender's address


def test_a_level_beyond_the_head_of_a_line_is_what_it_talks_about() -> None:
    assert find_level(b"." * 159 + b" ERROR") is None
