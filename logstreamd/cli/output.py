"""Where rows go: lines for people or JSON for programs, to a terminal or into a pipe."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import IO

import msgspec

from logstreamd.cli.terminal import ColourChoice, LineFormat, escape_json, wants_colour

__all__ = ["RowPrinter", "note"]


class RowPrinter:
    """Prints rows.

    Args:
        as_json: the JSON that the daemon sent, one row on a line, instead of columns.
        colour: when to colour.
        utc: times in UTC instead of the local zone.
        stream: where to; standard output when not given.
    """

    def __init__(self, *, as_json: bool, colour: ColourChoice, utc: bool, stream: IO[str] | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._as_json = as_json
        self._format = LineFormat(colour=wants_colour(colour, self._stream), zone=UTC if utc else None)
        self.rows = 0
        """How many were printed."""

    def print(self, row: bytes) -> None:
        """Print one row, given as JSON."""
        self.rows += 1
        if not self._as_json:
            line = self._format.line(msgspec.json.decode(row))
        else:
            text = row.decode()
            # A program gets what was sent; a terminal the same JSON, written so that it does not obey what is in it.
            line = escape_json(text) if self._stream.isatty() else text
        self._stream.write(f"{line}\n")

    def flush(self) -> None:
        """Let everything be seen."""
        self._stream.flush()


def note(text: str) -> None:
    """Say something beside the rows, on standard error."""
    sys.stderr.write(f"-- {text}\n")
    sys.stderr.flush()
