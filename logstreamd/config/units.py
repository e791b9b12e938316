"""Numbers with bounds: whole numbers, durations (``500ms 10s 5m 1h 7d``) and sizes (``64KiB 2MiB 4GiB``).

A quantity is the metadata of a model's field and does both halves of the work: it reads what was written, and
it describes its bounds for messages and for the reference.

=============== ====================== ======= ===================================================
quantity        written                on the  a bare number
                                       model
=============== ====================== ======= ===================================================
WholeNumber     ``16384``              int     is the number
Duration        ``500ms``, ``1.5h``    float   seconds, where the key says so (``*_seconds``)
Size            ``64KiB``, ``4GiB``    int     bytes (every size's key says so: ``*_bytes``)
=============== ====================== ======= ===================================================

Sizes have binary units only: ``KB`` is 1000 bytes to some and 1024 to others, so it is refused with the
likely meaning.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from logstreamd.config.problems import shown

__all__ = [
    "GIB",
    "KIB",
    "MIB",
    "TIB",
    "Duration",
    "Size",
    "WholeNumber",
    "duration_text",
    "parse_duration",
    "parse_size",
    "size_text",
]

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_PER_UNIT = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB}

# 15 digits: every such number is exact as a float, and no text is long enough to make the conversion slow.
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_DURATION = re.compile(_NUMBER + r" ?(ms|s|m|h|d)")
_SIZE = re.compile(_NUMBER + r" ?([KMGT]iB|B)")
_AMBIGUOUS_SIZE = re.compile(_NUMBER + r" ?([KMGT])i?B?", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Read a duration with its unit.

    Args:
        text: for example ``500ms``, ``10s``, ``5m``, ``1.5h``, ``7d``.

    Returns:
        The duration in seconds.

    Raises:
        ValueError: not a number followed by one of the units.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"must be a duration such as 500ms, 10s, 5m, 1h or 7d (got {shown(text)})")
    number, unit = match.groups()
    # Milliseconds are divided: 0.1 s written as 100ms is then the same float as 0.1.
    return float(number) / 1000 if unit == "ms" else float(number) * _SECONDS_PER_UNIT[unit]


def parse_size(text: str) -> int:
    """Read a size with its unit.

    Args:
        text: for example ``64KiB``, ``2MiB``, ``1.5GiB``.

    Returns:
        The size in bytes, rounded down.

    Raises:
        ValueError: not a number followed by one of the units.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        ambiguous = _AMBIGUOUS_SIZE.fullmatch(text)
        hint = f"; did you mean {ambiguous[1]}{ambiguous[2].upper()}iB?" if ambiguous else ""
        raise ValueError(f"must be a size such as 64KiB, 2MiB or 4GiB (got {shown(text)}{hint})")
    number, unit = match.groups()
    return int(float(number) * _BYTES_PER_UNIT[unit])


def duration_text(seconds: float) -> str:
    """Write a duration in the largest unit without a fraction: ``90.0`` is ``90s``, ``3600.0`` is ``1h``."""
    for unit in ("d", "h", "m", "s"):
        amount = seconds / _SECONDS_PER_UNIT[unit]
        if seconds and amount == int(amount):
            return f"{int(amount)}{unit}"
    milliseconds = f"{seconds * 1000:.6f}".rstrip("0").rstrip(".")
    return f"{milliseconds}ms" if seconds else "0s"


def size_text(size_bytes: int) -> str:
    """Write a size in the largest unit that needs no fraction: ``65536`` is ``64KiB``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _BYTES_PER_UNIT[unit] == 0:
            return f"{size_bytes // _BYTES_PER_UNIT[unit]}{unit}"
    return f"{size_bytes}B"


class _Quantity(ABC):
    """What makes a quantity usable as ``Annotated[int, Size(...)]``."""

    __slots__ = ()

    @abstractmethod
    def read(self, value: object) -> Any:
        """Return the value in the setting's own unit, or raise ValueError with what was expected."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


@dataclass(frozen=True, slots=True)
class WholeNumber(_Quantity):
    """A number without a fraction, ``lowest..highest``; with ``nullable`` also null, for "no limit"."""

    lowest: int
    highest: int
    nullable: bool = False

    @property
    def bounds(self) -> str:
        """The bounds for people, for example ``1..65535``."""
        return f"{self.lowest}..{self.highest}" + (" or null" if self.nullable else "")

    def read(self, value: object) -> int | None:
        """Return the number that was written; raise ValueError when it is none or out of bounds."""
        if value is None and self.nullable:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number {self.bounds} (got {shown(value)})")
        if not self.lowest <= value <= self.highest:
            raise ValueError(f"must be {self.bounds} (got {value})")
        return value


@dataclass(frozen=True, slots=True)
class Duration(_Quantity):
    """A span of time in seconds, ``lowest..highest``.

    With ``zero_means`` 0 is accepted too and says that. With ``bare=False`` a number without a unit is
    refused: the key does not say ``_seconds``.
    """

    lowest: float
    highest: float
    zero_means: str | None = None
    bare: bool = True

    @property
    def bounds(self) -> str:
        """The bounds for people, for example ``1s..7d``."""
        span = f"{duration_text(self.lowest)}..{duration_text(self.highest)}"
        return f"{span}, or 0 for {self.zero_means}" if self.zero_means else span

    def read(self, value: object) -> float:
        """Return the seconds that were written; raise ValueError when it is no duration or out of bounds."""
        seconds = self._seconds(value)
        if seconds == 0 and self.zero_means:
            return 0.0
        if not self.lowest <= seconds <= self.highest:
            raise ValueError(f"must be {self.bounds} (got {shown(value)})")
        return seconds

    def _seconds(self, value: object) -> float:
        match value:
            case str():
                return parse_duration(value)
            case int() | float() if not isinstance(value, bool):
                if not self.bare:
                    raise ValueError(f"needs a unit: ms, s, m, h or d (got {value})")
                return float(value)
            case _:
                raise ValueError(f"must be a duration such as 500ms, 10s, 5m, 1h or 7d (got {shown(value)})")


@dataclass(frozen=True, slots=True)
class Size(_Quantity):
    """A number of bytes, ``lowest..highest``; with ``nullable`` also null, for "no limit".

    With ``zero_means`` 0 is accepted too and says that.
    """

    lowest: int
    highest: int
    nullable: bool = False
    zero_means: str | None = None

    @property
    def bounds(self) -> str:
        """The bounds for people, for example ``1KiB..1MiB``."""
        span = f"{size_text(self.lowest)}..{size_text(self.highest)}" + (" or null" if self.nullable else "")
        return f"{span}, or 0 for {self.zero_means}" if self.zero_means else span

    def read(self, value: object) -> int | None:
        """Return the bytes that were written; raise ValueError when it is no size or out of bounds."""
        match value:
            case None if self.nullable:
                return None
            case str():
                size_bytes = parse_size(value)
            case int() if not isinstance(value, bool):
                size_bytes = value
            case _:
                raise ValueError(f"must be a size such as 64KiB, 2MiB or 4GiB (got {shown(value)})")
        if size_bytes == 0 and self.zero_means:
            return 0
        if not self.lowest <= size_bytes <= self.highest:
            raise ValueError(f"must be {self.bounds} (got {shown(value)})")
        return size_bytes
