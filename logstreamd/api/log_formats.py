"""A log → bytes of a line: NDJSON for programs, CSV (RFC 4180) for spreadsheets.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return for a formula, and
senders of logs are nobody to run formulas for: such a text gets an apostrophe in front, which spreadsheets don't show.
Where every character counts, NDJSON is the format.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from typing import Any, Protocol

import msgspec

from logstreamd.query.search import LOG_FIELDS

__all__ = ["CsvLines", "LineFormat", "NdjsonLines"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class LineFormat(Protocol):
    """How a log is written as lines."""

    content_type: str

    def begin(self) -> bytes:
        """Return what comes before the first log."""

    def line(self, log: dict[str, Any]) -> bytes:
        """Return one log."""

    def failure(self, error: bytes) -> bytes:
        """Return what says that the rest is missing; ``error`` is the JSON document of a refusal."""


class NdjsonLines:
    """One JSON object a line. A last line ``{"error": …}`` says that there would have been more."""

    content_type = "application/x-ndjson"

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder(decimal_format="number").encode

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def line(self, log: dict[str, Any]) -> bytes:
        """The log as the JSON answer has it."""
        return self._encode(log) + b"\n"

    def failure(self, error: bytes) -> bytes:
        """The refusal as a line."""
        return error + b"\n"


class CsvLines:
    """Comma-separated values with a header; ``attrs`` is JSON. Nothing in it can say that it ended too early."""

    content_type = "text/csv; charset=utf-8; header=present"

    def __init__(self) -> None:
        self._line = io.StringIO()
        self._writer = csv.writer(self._line)

    def begin(self) -> bytes:
        """The names."""
        return self._write(LOG_FIELDS)

    def line(self, log: dict[str, Any]) -> bytes:
        """The values."""
        return self._write([_cell(value) for value in log.values()])

    def failure(self, error: bytes) -> bytes:
        """Nothing: the connection that ends without an end has to do."""
        return b""

    def _write(self, cells: Any) -> bytes:
        self._line.seek(0)
        self._line.truncate()
        self._writer.writerow(cells)
        return self._line.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    text = msgspec.to_builtins(value)
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text
