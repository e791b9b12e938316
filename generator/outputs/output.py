"""What every output does, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Output", "Tally"]


@dataclass(slots=True)
class Tally:
    """What became of the lines given to an output.

    Attributes:
        sent: handed over: written, given to the kernel, or accepted by the HTTP server.
        failed: given up.
        retried: sent again after a first failure, once for each time; they end up as sent or failed too.
    """

    sent: int = 0
    failed: int = 0
    retried: int = 0


class Output(Protocol):
    """Takes lines. Nothing is raised for what goes wrong on the way out: it is counted."""

    name: str
    tally: Tally

    def write(self, lines: Sequence[str]) -> None:
        """Take lines; return when there is room for more."""

    def poll(self) -> None:
        """Do what time asks for: called every now and then, lines or not."""

    def close(self) -> None:
        """Bring out what is left, and let go."""
