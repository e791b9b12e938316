"""The body of a batch ingest → batches of one frame per log, and a reason for each line that is none.

A body is a JSON array of objects, one object (on as many lines as it likes), or one object per line. What a socket
would repair and keep, because nobody can be asked, is refused here with the reason, because somebody can.

This is the readable twin; :mod:`._ingest_body` does the same without a Python object per log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from logstreamd.record import LEVELS
from logstreamd.wire.batch import Batch
from logstreamd.wire.json_document import decode_object
from logstreamd.wire.jsonlines import epoch_us, read_level
from logstreamd.wire.rfc3339 import parse_rfc3339

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_TRACE_ID_CHARS",
    "Body",
    "BodyError",
    "TooManyLinesError",
    "decode_array",
    "is_one_object",
    "read_body",
    "refusal",
]

MAX_LINE_BYTES = 65_536
"""Bytes of one log: what ``max_frame_bytes`` is for the sockets by default."""

MAX_TRACE_ID_CHARS = 128
_MAX_SHOWN_CHARS = 40
_BLANKS = b" \t\r\n"
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")
# An element costs 70 bytes before it is looked at: 70 MB for as many as there may be without being counted first.
_UNCOUNTED_ELEMENTS = 1_000_000
# A string is one token, also one that does not end: trying its quotes again from each would take for ever.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


class BodyError(ValueError):
    """The body as a whole can't be read."""


class TooManyLinesError(ValueError):
    """The body holds more lines than allowed."""

    def __init__(self, max_lines: int) -> None:
        super().__init__(f"more than {max_lines} lines")


@dataclass(slots=True)
class Body:
    """What a body held.

    Attributes:
        batches: its logs in order, each as its JSON text; all batches but the last are full.
        rejected: number of the line (or array element), from 1, and what is wrong with it.
    """

    batches: list[Batch] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """How many logs it held."""
        return sum(map(len, self.batches))


def read_body(body: bytes | bytearray, new_batch: Callable[[], Batch], *, received_at: int, max_lines: int) -> Body:
    """Take a body apart.

    Args:
        body: decompressed.
        new_batch: makes an empty batch whose first peer is the sender.
        received_at: arrival, microseconds since the epoch.
        max_lines: logs it may hold.

    Raises:
        BodyError: it is empty, or a JSON array that is broken as JSON.
        TooManyLinesError: it holds more than ``max_lines``.
    """
    if not body.strip(_BLANKS):
        raise BodyError("the body is empty; expected a JSON array, JSON lines or one JSON object")
    found = Body()
    for count, (number, line) in enumerate(_elements(body, max_lines), 1):
        if count > max_lines:
            raise TooManyLinesError(max_lines)
        reason = refusal(line)
        if reason is not None:
            found.rejected.append((number, reason))
            continue
        if not found.batches or found.batches[-1].full:
            found.batches.append(new_batch())
        found.batches[-1].append(line, received_at, 0)
    return found


def _elements(body: bytes | bytearray, max_lines: int) -> Iterable[tuple[int, bytes]]:
    """Return the candidates with their numbers."""
    start = body.lstrip(_BLANKS)[:1]
    if start == b"[":
        return enumerate(map(bytes, decode_array(body, max_lines)), 1)
    if start == b"{" and len(body) <= MAX_LINE_BYTES and is_one_object(stripped := bytes(body.strip(_BLANKS))):
        return [(1, stripped)]
    return _lines(body)


def decode_array(body: bytes | bytearray, max_lines: int) -> list[msgspec.Raw]:
    """Cut a body that begins as an array into its elements; raises what :func:`read_body` does."""
    if body.count(b",") >= _UNCOUNTED_ELEMENTS and _has_more_elements(body, max_lines):
        raise TooManyLinesError(max_lines)
    try:
        elements = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise BodyError(f"not a JSON array: {problem}") from problem
    if len(elements) > max_lines:
        raise TooManyLinesError(max_lines)
    return elements


def is_one_object(body: bytes) -> bool:
    """Whether a body without blanks around it is one object on several lines."""
    # The first line of an object that is spread out is no object by itself; asking that first is cheap.
    first, _, more = body.partition(b"\n")
    return bool(more) and decode_object(first.strip(_BLANKS)) is None and decode_object(body) is not None


def _has_more_elements(body: bytes | bytearray, count: int) -> bool:
    """Whether an array has more elements than ``count``; looks no further than that."""
    depth = elements = 0
    for token in _TOKEN.finditer(body):
        match body[token.start()]:
            case 0x5B | 0x7B:  # [ {
                depth += 1
            case 0x5D | 0x7D:  # ] }
                depth -= 1
            case 0x2C if depth == 1:  # ,
                elements += 1
                if elements >= count:
                    return True
    return False


def _lines(body: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    number, counted_to = 1, 0
    for line in _LINE.finditer(body):
        number += body.count(b"\n", counted_to, line.start())
        counted_to = line.start()
        yield number, bytes(line[0].rstrip(_BLANKS))


def refusal(line: bytes) -> str | None:
    """Say what keeps a line from being a log, or None when nothing does.

    Args:
        line: one candidate, without the line end.
    """
    if len(line) > MAX_LINE_BYTES:
        return f"longer than {MAX_LINE_BYTES} bytes (got {len(line)})"
    document = decode_object(line) if line.startswith(b"{") else None
    if document is None:
        return f"must be a JSON object (got {_shown(line.decode(errors='replace'))})"
    fields = document.fields
    for check in (_check_message, _check_level, _check_time, _check_words, _check_tags):
        if reason := check(fields):
            return reason
    return None


def _first(fields: Mapping[str, Any], *names: str) -> tuple[str, Any] | None:
    return next(((name, fields[name]) for name in names if fields.get(name) is not None), None)


def _check_message(fields: Mapping[str, Any]) -> str | None:
    found = _first(fields, "message", "msg", "log")
    if found is None:
        return "message: is missing"
    name, value = found
    return None if isinstance(value, str) else f"{name}: must be a string (got {_shown(value)})"


def _check_level(fields: Mapping[str, Any]) -> str | None:
    found = _first(fields, "level", "severity", "lvl")
    if found is None or read_level(found[1]) is not None:
        return None
    return f"{found[0]}: must be one of {', '.join(reversed(LEVELS))} (got {_shown(found[1])})"


def _check_time(fields: Mapping[str, Any]) -> str | None:
    found = _first(fields, "timestamp", "@timestamp", "ts", "time")
    if found is None:
        return None
    name, value = found
    if isinstance(value, str) and parse_rfc3339(value) is not None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and epoch_us(value) is not None:
        return None
    return f"{name}: must be a time like 2026-11-22T03:00:00Z or a Unix time (got {_shown(value)})"


def _check_words(fields: Mapping[str, Any]) -> str | None:
    for names in (("service", "app", "logger"), ("host", "hostname")):
        found = _first(fields, *names)
        if found is not None and not isinstance(found[1], str):
            return f"{found[0]}: must be a string (got {_shown(found[1])})"
    found = _first(fields, "trace_id", "traceId")
    if found is None or (isinstance(found[1], str) and 0 < len(found[1]) <= MAX_TRACE_ID_CHARS):
        return None
    return f"{found[0]}: must be a string of 1..{MAX_TRACE_ID_CHARS} characters (got {_shown(found[1])})"


def _check_tags(fields: Mapping[str, Any]) -> str | None:
    tags = fields.get("tags")
    match tags:
        case None:
            return None
        case dict() if all(isinstance(value, (str, int, float, bool)) for value in tags.values()):
            return None
        case list() if all(isinstance(value, str) for value in tags):
            return None
    return f"tags: must be an object of plain values or a list of strings (got {_shown(tags)})"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1] + "…"
