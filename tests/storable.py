"""What a record must be so that PostgreSQL takes it as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from logstreamd.record import Record
from logstreamd.wire.text import MAX_COLUMN_CHARS, dump_json

FORMATS = {"rfc5424", "rfc3164", "json", "cef", "leef", "raw"}
INDEXED = ("host", "service", "proc_id", "msg_id", "trace_id")


def assert_storable(record: Record) -> None:
    assert 0 <= record.severity <= 7
    assert 0 <= record.facility <= 23
    assert record.format in FORMATS
    _assert_text(record.message)
    for column in INDEXED:
        value = getattr(record, column)
        if value is not None:
            _assert_text(value)
            assert 0 < len(value) <= MAX_COLUMN_CHARS
    _assert_value(record.attrs, depth=0)
    assert msgspec.json.decode(dump_json(record.attrs)) == record.attrs


def _assert_text(text: str) -> None:
    assert "\0" not in text
    text.encode()  # a lone surrogate raises


def _assert_value(value: Any, depth: int) -> None:
    # 64 levels of the sender's own, and what is beside them
    assert depth <= 66
    if isinstance(value, str):
        _assert_text(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            _assert_text(name)
            _assert_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _assert_value(item, depth + 1)
    else:
        assert value is None or isinstance(value, (bool, int, float))
        assert value == value and value not in (float("inf"), float("-inf"))
