from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from random import Random

import pytest

from generator.event import FIELDS, Event
from generator.formats import FORMATS, make_format
from generator.source import Source
from logstreamd.record import Record, Severity
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

WEIGHTS = {"INFO": 3, "WARNING": 2, "ERROR": 1, "DEBUG": 1, "CRITICAL": 1}
START_US = 1_747_218_225_000_000  # 2025-05-14 10:23:45 UTC
SEVERITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
EXAMPLE = Event(
    START_US,
    "INFO",
    "abc-1234",
    "user-service",
    "user-67890",
    "req-xyz789",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    142,
    "User login successful",
)
AWKWARD = EXAMPLE._replace(message='Name set to "Linus, Jr.", é – \\n; a | b')


@pytest.fixture(scope="module")
def events() -> list[Event]:
    times = range(START_US, START_US + 20_000 * 7_001, 7_001)
    return [*Source(WEIGHTS, Random(1), with_patterns=True).events(times), AWKWARD]


def lines_of(name: str, events: list[Event]) -> list[str]:
    return make_format(name, host="web-1", pid=4711).lines(events)


def parsed(line: str, time_us: int) -> Record:
    return parse_frame(line.encode(), time_us, Policy())


def test_a_text_line_looks_like_this() -> None:
    ids = "abc-1234 | user-service | user-67890 | req-xyz789"
    assert lines_of("text", [EXAMPLE]) == [f"2025-05-14 10:23:45 | INFO    | {ids} | 142ms | User login successful"]


@pytest.mark.parametrize("name", FORMATS)
def test_one_event_is_one_line(name: str, events: list[Event]) -> None:
    lines = lines_of(name, events)
    assert len(lines) == len(events)
    assert not any("\n" in line or "\r" in line for line in lines)


def test_text_holds_what_the_event_holds(events: list[Event]) -> None:
    pattern = re.compile(
        r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \| ([A-Z]+) *\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| (\d+)ms \| (.*)"
    )
    for event, line in zip(events, lines_of("text", events), strict=True):
        found = pattern.fullmatch(line)
        assert found, line
        moment = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert int(moment.timestamp()) == event.time_us // 1_000_000
        assert found.groups()[1:] == (*event[1:6], str(event.duration_ms), event.message)


def moment_us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1_000_000)


def test_json_holds_what_the_event_holds(events: list[Event]) -> None:
    for event, line in zip(events, lines_of("json", events), strict=True):
        fields = json.loads(line)
        assert tuple(fields) == FIELDS
        assert Event(moment_us(fields.pop("timestamp")), *fields.values()) == event


def test_csv_holds_what_the_event_holds(events: list[Event]) -> None:
    line_format = make_format("csv", host="web-1", pid=1)
    text = "\n".join([line_format.header or "", *line_format.lines(events)])
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(events)
    for event, row in zip(events, rows, strict=True):
        assert tuple(row) == FIELDS
        assert moment_us(row["timestamp"]) == event.time_us
        assert [row[name] for name in FIELDS[1:]] == [str(value) for value in event[1:]]


def test_rfc_5424_is_read_by_the_daemons_parser(events: list[Event]) -> None:
    for event, line in zip(events, lines_of("rfc5424", events), strict=True):
        record = parsed(line, event.time_us)
        assert (record.format, record.ts, record.severity) == ("rfc5424", event.time_us, SEVERITIES[event.level])
        assert (record.host, record.service, record.proc_id) == ("web-1", event.service, "4711")
        assert (record.trace_id, record.message) == (event.trace_id, event.message)
        data = record.attrs["log@32473"]
        assert (data["id"], data["user_id"], data["request_id"]) == (event.id, event.user_id, event.request_id)
        assert data["duration_ms"] == str(event.duration_ms)


def test_rfc_3164_is_read_by_the_daemons_parser(events: list[Event]) -> None:
    for event, line in zip(events, lines_of("rfc3164", events), strict=True):
        record = parsed(line, event.time_us)
        assert (record.format, record.severity) == ("rfc3164", SEVERITIES[event.level])
        assert record.ts == event.time_us // 1_000_000 * 1_000_000
        assert (record.host, record.service, record.proc_id) == ("web-1", event.service, "4711")
        ids = f"id={event.id} user_id={event.user_id} request_id={event.request_id} trace_id={event.trace_id}"
        assert record.message == f"{event.message} {ids} duration_ms={event.duration_ms}"


def test_the_day_of_rfc_3164_is_padded_with_a_blank() -> None:
    (line,) = lines_of("rfc3164", [EXAMPLE._replace(time_us=1_746_090_000_000_000)])
    assert line.startswith("<134>May  1 09:00:00 web-1 user-service[4711]: ")


def test_json_is_read_by_the_daemons_parser(events: list[Event]) -> None:
    for event, line in zip(events, lines_of("json", events), strict=True):
        record = parsed(line, event.time_us)
        assert (record.format, record.ts, record.severity) == ("json", event.time_us, SEVERITIES[event.level])
        assert (record.service, record.message, record.trace_id) == (event.service, event.message, event.trace_id)
        assert record.attrs["duration_ms"] == event.duration_ms


def test_severities_are_those_of_syslog() -> None:
    names = {"CRITICAL": Severity.CRITICAL, "ERROR": Severity.ERROR, "WARNING": Severity.WARNING}
    assert {name: SEVERITIES[name] for name in names} == names
