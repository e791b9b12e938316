r"""STRUCTURED-DATA of RFC 5424 section 6.3, and what devices send for it.

``[id name="value" name="value"][id ...]``: no blank between elements, a blank ends them. In a value ``\"``,
``\\`` and ``\]`` are escapes and a backslash before anything else is a backslash; quotes decide where a value
ends, also when it holds a ``]`` that should have been escaped. VMware's unquoted values are read too. One
pass, no backtracking.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from logstreamd.record import Record
from logstreamd.wire.text import add_attribute, decode_text, fit_column

__all__ = ["Element", "attach_elements", "find_list_end", "scan_elements"]

MAX_KEYS = 1000
"""As many keys as a JSON document may have; a frame with more keeps its structured data as text."""

_NAME = re.compile(rb'[^\x00-\x20="\]\x7f]+')
_BARE_VALUE = re.compile(rb'[^\x00-\x20"\]\x7f]+')
_NOT_BLANK = re.compile(rb"[^ ]")
_ESCAPE = re.compile(rb'\\(["\\\]])')
_LIST_NAME = re.compile(rb'[^\x00-\x20=:"\]\x7f]+:"')


class Element(NamedTuple):
    """One SD-ELEMENT: its SD-ID and its parameters, still in bytes but without escapes."""

    sd_id: bytes
    params: list[tuple[bytes, bytes]]


def scan_elements(data: bytes, pos: int) -> tuple[list[Element], int] | None:
    """Read the SD-ELEMENTs that start at ``pos``.

    Returns:
        The elements and the offset after the last ``]``, or None when they are broken: an element without id
        or without its end, a parameter without value, a closing ``]`` followed by neither a blank nor the
        end, or over 1,000 elements and parameters.
    """
    elements: list[Element] = []
    budget = MAX_KEYS
    while data[pos : pos + 1] == b"[":
        name = _NAME.match(data, pos + 1)
        budget -= 1
        if name is None or budget < 0:
            return None
        scanned = _scan_params(data, name.end(), budget)
        if scanned is None:
            return None
        params, pos = scanned
        budget -= len(params)
        elements.append(Element(name[0], params))
    if not elements or data[pos : pos + 1] not in (b"", b" "):
        return None
    return elements, pos


def _scan_params(data: bytes, pos: int, budget: int) -> tuple[list[tuple[bytes, bytes]], int] | None:
    """Read ``*(SP name=value) ]`` from ``pos``; return the parameters and the offset after the ``]``."""
    params: list[tuple[bytes, bytes]] = []
    while True:
        start = pos
        pos = len(data) if (word := _NOT_BLANK.search(data, pos)) is None else word.start()
        if data[pos : pos + 1] == b"]":
            return params, pos + 1
        name = _NAME.match(data, pos) if pos > start else None
        if name is None or len(params) == budget or data[name.end() : name.end() + 1] != b"=":
            return None
        value = _scan_value(data, name.end() + 1)
        if value is None:
            return None
        params.append((name[0], value[0]))
        pos = value[1]


def _scan_value(data: bytes, pos: int) -> tuple[bytes, int] | None:
    """Read one value, quoted or (not in the RFC) bare; return it without escapes, and the offset after it."""
    if data[pos : pos + 1] != b'"':
        bare = _BARE_VALUE.match(data, pos)
        return None if bare is None else (bare[0], bare.end())
    end = _closing_quote(data, pos + 1)
    if end < 0:
        return None
    value = data[pos + 1 : end]
    return (_ESCAPE.sub(rb"\1", value) if b"\\" in value else value), end + 1


def _closing_quote(data: bytes, pos: int) -> int:
    """Return the offset of the next quote that no backslash escapes, or -1."""
    end = data.find(b'"', pos)
    while end >= 0:
        backslash = end
        while backslash > pos and data[backslash - 1] == 0x5C:
            backslash -= 1
        if (end - backslash) % 2 == 0:
            return end
        pos = end + 1
        end = data.find(b'"', pos)
    return -1


def find_list_end(data: bytes, pos: int) -> int | None:
    """Find the end of Check Point's ``[key:"value"; key:"value"]``, which stands in place of structured data.

    Returns:
        The offset after its ``]``, or None when this is not such a list.
    """
    pos += 1
    for _ in range(MAX_KEYS):
        name = _LIST_NAME.match(data, pos)
        end = _closing_quote(data, name.end()) if name is not None else -1
        if end < 0:
            return None
        if data[end + 1 : end + 2] == b"]" and data[end + 2 : end + 3] in (b"", b" "):
            return end + 2
        if data[end + 1 : end + 3] != b"; ":
            return None
        pos = end + 3
    return None


def attach_elements(record: Record, elements: list[Element]) -> None:
    """Put elements into ``attrs`` as ``{"sd-id": {"name": "value"}}``; a repeated name makes a list.

    A parameter named ``trace_id`` also fills the column, the first one if there are several.
    """
    by_id: dict[str, dict[str, Any]] = {}
    for sd_id, params in elements:
        values = by_id.setdefault(decode_text(sd_id, record), {})
        for raw_name, raw_value in params:
            name, value = decode_text(raw_name, record), decode_text(raw_value, record)
            if name == "trace_id" and record.trace_id is None and value:
                record.trace_id = fit_column(value, "trace_id", record)
            _add_value(values, name, value)
    for name, values in by_id.items():
        add_attribute(record, name, values)


def _add_value(values: dict[str, Any], name: str, value: str) -> None:
    present = values.get(name)
    if present is None:
        values[name] = value
    elif isinstance(present, list):
        present.append(value)
    else:
        values[name] = [present, value]
