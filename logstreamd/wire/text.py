"""Bytes → texts PostgreSQL can store, without losing what could not be one.

============================ =================================== ====================
what arrives                 what is stored                      flag on the row
============================ =================================== ====================
a byte that is not UTF-8     ``\\xNN``, readable                 ``invalid_utf8``
NUL                          ``\\x00``, readable                 ``nul``
a column of over 512         its first 512 characters; the whole ``long_<column>``
characters                   text under ``attrs.logstreamd``
============================ =================================== ====================

Source: PostgreSQL refuses NUL in text (22021) and b-tree entries above 2,704 bytes (54000).
"""

from __future__ import annotations

from typing import Any

import msgspec

from logstreamd.record import Record

__all__ = [
    "MAX_COLUMN_CHARS",
    "add_attribute",
    "add_derived",
    "decode_text",
    "dump_json",
    "fit_column",
    "note",
]

MAX_COLUMN_CHARS = 512
"""512 characters are at most 2,048 bytes: below a b-tree's 2,704, and above every limit of RFC 5424."""

_encoder = msgspec.json.Encoder()


def decode_text(data: bytes, record: Record) -> str:
    """Decode sender's bytes as UTF-8; flag on the record what had to be made visible for that."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "backslashreplace")
        record.flag("invalid_utf8")
    if "\0" in text:
        text = text.replace("\0", "\\x00")
        record.flag("nul")
    return text


def fit_column(text: str, column: str, record: Record) -> str:
    """Cut a text to what an indexed column takes; the whole of it stays in ``attrs``."""
    if len(text) <= MAX_COLUMN_CHARS:
        return text
    note(record, column, text)
    record.flag(f"long_{column}")
    return text[:MAX_COLUMN_CHARS]


def note(record: Record, name: str, value: Any) -> None:
    """Keep something of ours beside the sender's attributes, in ``attrs["logstreamd"]``."""
    record.attrs.setdefault("logstreamd", {})[name] = value


def add_attribute(record: Record, name: str, value: Any) -> None:
    """Add an attribute under the sender's name; ``logstreamd`` is ours, so that moves to ``logstreamd.sender``."""
    if name == "logstreamd":
        note(record, "sender", value)
    else:
        record.attrs[name] = value


def add_derived(record: Record, name: str, value: Any) -> None:
    """Add an attribute of our making; if the sender uses its name, it goes to ``attrs.logstreamd``."""
    if name in record.attrs:
        note(record, name, value)
    else:
        record.attrs[name] = value


def dump_json(attrs: dict[str, Any]) -> bytes:
    """Encode a record's attributes as the JSON text that jsonb takes."""
    return _encoder.encode(attrs)
