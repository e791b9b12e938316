"""Text → value, for settings. What is wrong is said in one line that names what is allowed and what was there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

from generator.event import LEVELS

__all__ = [
    "read_address",
    "read_bind_address",
    "read_choice",
    "read_count",
    "read_distribution",
    "read_duration",
    "read_flag",
    "read_http_url",
    "read_moment",
    "read_number",
    "read_path",
    "read_rates",
]

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_HTTP_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[^/:@?#\[\]\s]+)(?::(\d{1,5}))?(/[^?#\s]*)?", re.ASCII)
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})", re.ASCII)
_ALIASES = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def read_number(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of numbers from ``low`` to ``high``."""

    def read(text: str) -> float:
        problem = ValueError(f"must be a number from {low:.15g} to {high:.15g} (got {text!r})")
        try:
            number = float(text)
        except ValueError:
            raise problem from None
        if not (math.isfinite(number) and low <= number <= high):
            raise problem
        return number

    return read


def read_count(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int:
        if not (re.fullmatch(r"[+-]?\d{1,18}", text.strip(), re.ASCII) and low <= int(text) <= high):
            raise ValueError(f"must be a whole number from {low} to {high} (got {text!r})")
        return int(text)

    return read


def read_flag(text: str) -> bool:
    """Read true or false, as people write it in the environment."""
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ValueError(f"must be true or false (got {text!r})")


def read_choice(*names: str) -> Callable[[str], str]:
    """Return a reader of one of some names, in any case."""

    def read(text: str) -> str:
        name = text.strip().lower()
        if name not in names:
            raise ValueError(f"must be one of {', '.join(names)} (got {text!r})")
        return name

    return read


def read_duration(text: str) -> float:
    """Read a duration like ``500ms``, ``10s``, ``5m`` or ``1h``; a number alone is of seconds."""
    found = _DURATION.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not (found and 0 < seconds < math.inf):
        raise ValueError(f"must be a duration above zero, like 500ms, 10s, 5m or 1h (got {text!r})")
    return seconds


def read_distribution(text: str) -> dict[str, float]:
    """Read weights of levels like ``INFO:0.70,ERROR:0.05``; they need not add up to one."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.partition(":")
        level = _ALIASES.get(name.strip().upper(), name.strip().upper())
        if not colon or level not in LEVELS:
            raise ValueError(f"must be LEVEL:WEIGHT,… with levels of {', '.join(LEVELS)} (got {part.strip()!r})")
        if level in weights:
            raise ValueError(f"has {level} twice")
        try:
            weights[level] = read_number(0, 1e9)(number)
        except ValueError as problem:
            raise ValueError(f"weight of {level} {problem}") from None
    if not any(weights.values()):
        raise ValueError("must have a weight above zero")
    return weights


def read_address(text: str) -> tuple[str, int]:
    """Read ``host:port`` or ``[IPv6]:port``."""
    return _read_address(text, 1)


def read_bind_address(text: str) -> tuple[str, int]:
    """Read the same to listen on; port 0 is any free one."""
    return _read_address(text, 0)


def _read_address(text: str, lowest_port: int) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text.strip())
    if not found or not lowest_port <= int(found[3]) < 65_536:
        raise ValueError(f"must be host:port, with a port from {lowest_port} to 65535 (got {text!r})")
    return found[1] or found[2], int(found[3])


def read_rates(count: int) -> Callable[[str], tuple[float, ...]]:
    """Return a reader of so many chances between 0 and 1, with commas between them."""

    def read(text: str) -> tuple[float, ...]:
        rates = tuple(read_number(0, 1)(part) for part in text.split(","))
        if len(rates) != count:
            raise ValueError(f"must be {count} numbers with commas between them (got {text!r})")
        return rates

    return read


def read_http_url(text: str) -> str:
    """Read the URL of an HTTP server, with or without a path."""
    found = _HTTP_URL.fullmatch(text.strip())
    if not found or not 0 < int(found[3] or 80) < 65_536:
        raise ValueError(f"must be a URL like http://127.0.0.1:8514 (got {text!r})")
    return text.strip().rstrip("/")


def read_path(text: str) -> str:
    """Read the path of a file or directory."""
    if "\0" in text:
        raise ValueError("must be a path (got one with a NUL character)")
    return text


def read_moment(text: str) -> int:
    """Read a date and time like ``2025-05-14T10:23:45Z``, UTC when it has no zone.

    Returns:
        Microseconds since the epoch.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise ValueError(f"must be a date and time like 2025-05-14T10:23:45Z (got {text!r})") from None
