"""Log rows as lines for people: columns, colours, and nothing in them that a terminal would obey.

Whoever may send a log line may put anything in it: sequences that clear the screen or type into the shell, characters
that turn the reading direction around. They are shown, never sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import IO, Any, Literal

__all__ = ["ColourChoice", "LineFormat", "escape", "escape_json", "wants_colour"]

ColourChoice = Literal["auto", "always", "never"]

# C0, DEL, C1; marks and overrides of the reading direction, line separators, invisible operators, tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\x1b": r"\e"}

_MAX_HOST_CHARS = 24
_MAX_SERVICE_CHARS = 24
_LEVEL_CHARS = 9  # the longest is "emergency"

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_LEVEL_COLOURS = {
    "emergency": "\x1b[1;37;41m",
    "alert": "\x1b[1;37;41m",
    "critical": "\x1b[1;31m",
    "error": "\x1b[31m",
    "warning": "\x1b[33m",
    "notice": "\x1b[36m",
    "info": "\x1b[32m",
    "debug": _DIM,
}


def escape(text: str) -> str:
    """Return a text in which everything that a terminal would obey or hide is written out: ``\\n``, ``\\x9b``."""
    return _UNSAFE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    character = match[0]
    number = ord(character)
    return _SHORT.get(character) or (
        f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    )


def escape_json(text: str) -> str:
    """Return the same JSON with such characters in its strings as ``\\u`` escapes."""
    # Above U+FFFF JSON takes the two halves of UTF-16.
    return _UNSAFE.sub(lambda match: _json_escapes(match[0]), text)


def _json_escapes(character: str) -> str:
    pair = character.encode("utf-16-be").hex()
    return "".join(f"\\u{pair[at : at + 4]}" for at in range(0, len(pair), 4))


def wants_colour(choice: ColourChoice, stream: IO[Any]) -> bool:
    """Tell whether to colour: asked for, or on a terminal unless ``NO_COLOR`` (https://no-color.org) is set."""
    if choice == "auto":
        return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"


class LineFormat:
    """Rows as lines: time, level, host, service, message.

    Columns are as wide as what was seen so far, so that a stream settles quickly and no space is wasted.

    Args:
        colour: whether to colour by level.
        zone: of the times; None is the local one.
    """

    def __init__(self, *, colour: bool, zone: tzinfo | None) -> None:
        self._colour = colour
        self._zone = zone
        self._host_chars = 1
        self._service_chars = 1

    def line(self, log: Mapping[str, Any]) -> str:
        """Return the line of a row as the API has it, without its end."""
        host, service = escape(log["host"] or "-"), escape(log["service"] or "-")
        self._host_chars = min(max(self._host_chars, len(host)), _MAX_HOST_CHARS)
        self._service_chars = min(max(self._service_chars, len(service)), _MAX_SERVICE_CHARS)
        level = escape(log["level"])
        return "  ".join(
            (
                self._coloured(self._time(log["ts"]), _DIM),
                self._coloured(level.ljust(_LEVEL_CHARS), _LEVEL_COLOURS.get(level, "")),
                host.ljust(self._host_chars),
                self._coloured(service.ljust(self._service_chars), "\x1b[1m"),
                escape(log["message"]),
            )
        )

    def _coloured(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour and colour else text

    def _time(self, stamp: str) -> str:
        moment = datetime.fromisoformat(stamp).astimezone(self._zone)
        text = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"
        return f"{text}Z" if self._zone is UTC else text
