"""Values that name something outside the configuration: a time zone, a directory, an input's label."""

from __future__ import annotations

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from logstreamd.config.problems import did_you_mean, shown

__all__ = [
    "read_directory",
    "read_file_path",
    "read_name",
    "read_patterns",
    "read_service",
    "read_state_dir",
    "read_zone",
]

_MAX_PATTERNS = 64
_MAX_SERVICE_CHARS = 512  # what the column takes
_INPUT_NAME = re.compile(r"[a-z0-9_-]{1,32}")  # a metric label: closed, short, nothing to escape


def read_zone(value: object) -> str:
    """Return the name of a time zone of the IANA database; raise ValueError when it is none."""
    if not isinstance(value, str):
        raise ValueError(f"must be the name of a time zone, such as UTC or Europe/Berlin (got {shown(value)})")
    try:
        ZoneInfo(value)
    # Unknown; outside the zone database ("../x"); a directory of it ("Europe").
    except (KeyError, ValueError, OSError) as error:
        meant = did_you_mean(value, available_timezones())
        hint = f"; did you mean {meant}?" if meant else ""
        raise ValueError(f"no such time zone (got {shown(value)}{hint})") from error
    return value


def read_state_dir(value: object) -> Path:
    """Return the directory with ``~`` expanded; raise ValueError when it is not absolute then."""
    return _read_path(value, "a directory")


def read_directory(value: object) -> Path:
    """Return the directory with ``~`` expanded; raise ValueError when it is not absolute then."""
    return _read_path(value, "a directory")


def read_patterns(value: object) -> tuple[str, ...]:
    """Return patterns of file names with ``~`` expanded; raise ValueError when one is not absolute then."""
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _MAX_PATTERNS:
        raise ValueError(
            f"must be a list of 1..{_MAX_PATTERNS} patterns such as /var/log/app/*.log (got {shown(value)})"
        )
    return tuple(map(_read_pattern, value))


def _read_pattern(value: object) -> str:
    path = str(_read_path(value, "files or patterns such as /var/log/app/*.log"))
    if "\0" in path:
        raise ValueError(f"must not contain NUL (got {shown(path)})")
    return path


def read_service(value: object) -> str | None:
    """Return the name of a service, None for null; raise ValueError when it is not one."""
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_SERVICE_CHARS or not value.isprintable():
        raise ValueError(f"must be 1..{_MAX_SERVICE_CHARS} printable characters (got {shown(value)})")
    return value


def read_file_path(value: object) -> Path | None:
    """Return the file's path with ``~`` expanded, None for null; raise ValueError when it is not absolute then."""
    return None if value is None else _read_path(value, "a file")


def _read_path(value: object, kind: str) -> Path:
    if not isinstance(value, (str, Path)):
        raise ValueError(f"must be {kind} (got {shown(value)})")
    # os.path leaves "~" alone where there is no home (a container's nameless user); Path.expanduser raises.
    path = Path(os.path.expanduser(value))  # noqa: PTH111
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, or start with ~ where there is a home (got {shown(str(value))})")
    return path


def read_name(value: object) -> str:
    """Return the name; raise ValueError when it is not fit for a metric label."""
    if not isinstance(value, str) or not _INPUT_NAME.fullmatch(value):
        raise ValueError(f"must be 1..32 of a-z 0-9 _ - (got {shown(value)})")
    return value
