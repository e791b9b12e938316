"""Where a Unix socket lies, and who may write to it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from logstreamd.config.problems import shown

__all__ = ["SocketPath", "read_mode"]

_MAX_PATH_BYTES = 107  # sockaddr_un has 108 with the final NUL; unix(7)
_MODE = re.compile(r"0?([0-7]{3})")


@dataclass(frozen=True, slots=True)
class SocketPath:
    """The absolute path of a Unix socket."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def parse(cls, value: object) -> SocketPath:
        """Read a path, ``~`` expanded.

        Raises:
            ValueError: not absolute, or longer than a socket's may be.
        """
        if isinstance(value, SocketPath):
            return value
        if not isinstance(value, str):
            raise ValueError(f"must be the path of a socket, such as /run/logstreamd/log (got {shown(value)})")
        path = Path(os.path.expanduser(value))  # noqa: PTH111 - Path.expanduser raises where there is no home
        if not path.is_absolute() or path.name in ("", ".."):
            raise ValueError(f"must be an absolute path, such as /run/logstreamd/log (got {shown(value)})")
        size = len(os.fsencode(path))
        if "\0" in value or size > _MAX_PATH_BYTES:
            raise ValueError(f"must be at most {_MAX_PATH_BYTES} bytes without NUL (got {size} bytes)")
        return cls(path)

    def overlaps(self, other: object) -> bool:
        """Whether one process cannot listen on both."""
        return self == other

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a model's field of this type be written as text, and write it as text again."""
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="json")
        )


def read_mode(value: object) -> str:
    """Return permissions as four octal digits; raise ValueError when they are not such digits, as a text."""
    match = _MODE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be octal digits in quotes, such as "0660" (got {shown(value)})')
    return f"0{match[1]}"
