"""The conformance vectors: reading them, and comparing a record with what one of them expects."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from logstreamd.record import Record
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

DATA = Path(__file__).parent / "data"
ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z
# Wide enough that the event's own time is taken whatever it is: the vectors are about reading stamps.
WIDE = Policy(max_past_us=1 << 60, max_future_us=1 << 60)
OUTSIDE_TAGS = ("disagree:", "config-specific")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Attributes that are read out of the message, not out of structured data.
DERIVED = {"logstreamd", "cisco", "cee", "cef", "leef"}


@dataclass(frozen=True)
class Vector:
    id: str
    raw: bytes
    entry: dict[str, Any]

    @property
    def counted(self) -> bool:
        """Whether the sources agree about it enough that it counts."""
        return not any(tag.startswith(OUTSIDE_TAGS) for tag in self.entry.get("tags", ()))


def _bytes(entry: dict[str, Any]) -> bytes:
    return base64.b64decode(entry["raw_b64"]) if "raw_b64" in entry else entry["raw"].encode("ascii")


def load(kind: str) -> list[Vector]:
    lines = (DATA / "syslog-vectors.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [Vector(entry["id"], _bytes(entry), entry) for entry in entries if entry["kind"] == kind]


def load_devices() -> list[Vector]:
    lines = (DATA / "device-samples.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [Vector(f"{entry['vendor']}-{number}", _bytes(entry), entry) for number, entry in enumerate(entries, 1)]


def expected_frames(vector: Vector) -> list[bytes]:
    return [_bytes(frame) for frame in vector.entry["expect_frames"]]


def deviations() -> dict[str, str]:
    """Read the listed exceptions: vector id → its class."""
    text = (Path(__file__).parent / "DEVIATIONS.md").read_text()
    return dict(re.findall(r"^\| `([\w-]+)` \| ([\w ]+) \|", text, re.MULTILINE))


def parse(vector: Vector) -> Record:
    return parse_frame(vector.raw, ARRIVAL_US, WIDE)


def mismatches(vector: Vector) -> list[str]:
    """Name every expected field that the record does not have, with both values."""
    entry, record = vector.entry, parse(vector)
    # Strict suites report in ``partial`` what they had read before they gave up; how far that was is their own.
    partial = {k: v for k, v in entry.get("partial", {}).items() if k not in ("structured_data", "version")}
    expected = partial | _in_our_terms(entry["convention"], entry.get("expect", {}))
    return list(_compare(record, expected))


def _compare(record: Record, expected: dict[str, Any]) -> Iterator[str]:
    for name, wanted in expected.items():
        found = _READERS[name](record, wanted)
        if found != wanted:
            yield f"{name}: {found!r} instead of {wanted!r}"


def _in_our_terms(convention: str, expected: dict[str, Any]) -> dict[str, Any]:
    """Write a suite's expectation as a record would hold it (section "How suites write" of DEVIATIONS.md)."""
    ours = dict(expected)
    message = ours.get("message")
    if isinstance(message, dict):
        ours["message"] = base64.b64decode(message["b64"]).decode("utf-8", "backslashreplace")
    elif message is None and "message" in ours:
        ours["message"] = ""
    if ours.get("facility", 0) is None:
        ours |= {"facility": 1, "severity": 5}
    if convention.startswith("go-syslog (strict") and isinstance(ours.get("message"), str):
        ours["message"] = ours["message"].removeprefix("\ufeff")
    if convention.startswith("go-syslog (strict") and "structured_data" in ours:
        ours["structured_data"] = {
            sd_id: {name: re.sub(r'\\(["\\\]])', r"\1", text) for name, text in params.items()}
            for sd_id, params in ours["structured_data"].items()
        }
    if "WithCiscoIOSComponents" in convention and str(ours.get("appname")).startswith("%"):
        ours["message"] = f"{ours['appname']}: {ours['message']}"
        ours["cisco_message_counter"] = ours.get("cisco_message_counter") or None
    if ours.get("timezone") == "CET":
        local = datetime.fromisoformat(ours["timestamp_local"])
        ours["timestamp_local"] = (local - timedelta(hours=1)).isoformat()
    return ours


def _structured_data(record: Record, _: Any) -> dict[str, Any]:
    return {name: value for name, value in record.attrs.items() if name not in DERIVED}


def _structured_data_includes(record: Record, wanted: dict[str, Any]) -> dict[str, Any]:
    return {sd_id: {name: record.attrs.get(sd_id, {}).get(name) for name in params} for sd_id, params in wanted.items()}


def _structured_data_text(record: Record, wanted: str) -> str | None:
    kept = record.attrs.get("logstreamd", {}).get("structured_data")
    if kept is not None:
        return kept
    elements = "".join(
        f"[{sd_id}{''.join(f' {name}={_quote(value)}' for name, value in params.items())}]"
        for sd_id, params in _structured_data(record, None).items()
    )
    return elements or None


def _quote(value: str) -> str:
    return '"' + re.sub(r'(["\\\]])', r"\\\1", value) + '"'


def _time(record: Record) -> datetime:
    return EPOCH + timedelta(microseconds=record.ts)


def _timestamp(record: Record, wanted: str | None) -> str | None:
    """The text itself is not kept when it is a time; the other timestamp keys say which time it is."""
    return wanted if wanted is not None or record.ts == record.received_at else str(record.ts)


def _timestamp_iso(record: Record, wanted: str) -> str:
    return wanted if _cut(wanted) == _time(record) else _time(record).isoformat()


def _timestamp_partial(record: Record, wanted: str) -> str:
    return wanted if _cut(f"{_time(record).year}-{wanted}+00:00") == _time(record) else _time(record).isoformat()


def _timestamp_local(record: Record, wanted: str) -> str:
    """A zone name that means one offset is used, so the local time is the one in that zone."""
    return wanted if _cut(wanted + "+00:00") == _time(record) else _time(record).isoformat()


def _cut(text: str) -> datetime:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _version(record: Record, _: Any) -> int:
    return record.attrs.get("logstreamd", {}).get("version", 1)


_READERS: dict[str, Callable[[Record, Any], Any]] = {
    "pri": lambda record, _: record.facility * 8 + record.severity,
    "effective_pri": lambda record, _: record.facility * 8 + record.severity,
    "facility": lambda record, _: record.facility,
    "severity": lambda record, _: record.severity,
    "hostname": lambda record, _: record.host,
    "appname": lambda record, _: record.service,
    "procid": lambda record, _: record.proc_id,
    "msgid": lambda record, _: record.msg_id,
    "message": lambda record, _: record.message,
    "message_endswith": lambda record, wanted: wanted if record.message.endswith(wanted) else record.message,
    "format": lambda record, _: record.format,
    "version": _version,
    "timestamp": _timestamp,
    "timestamp_iso": _timestamp_iso,
    "timestamp_partial": _timestamp_partial,
    "timestamp_local": _timestamp_local,
    "structured_data": _structured_data,
    "structured_data_includes": _structured_data_includes,
    "structured_data_text": _structured_data_text,
    "cisco_message_counter": lambda record, _: record.attrs.get("cisco", {}).get("message_counter"),
    "cisco_sequence": lambda record, _: record.attrs.get("cisco", {}).get("sequence"),
    "cee": lambda record, _: record.attrs.get("cee"),
    "timezone": lambda record, wanted: wanted,  # decides which time timestamp_local is
    "note": lambda record, wanted: wanted,  # a remark, not an expectation
}
