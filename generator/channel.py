"""Outputs that show the same format: a line is rendered once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.event import Event
from generator.formats import Format
from generator.outputs.output import Output

__all__ = ["Channel"]


@dataclass(frozen=True, slots=True)
class Channel:
    """A format and where it goes."""

    format: Format
    outputs: Sequence[Output]

    def write(self, events: Sequence[Event]) -> None:
        """Render events and give the lines to every output."""
        lines = self.format.lines(events)
        for output in self.outputs:
            output.write(lines)

    def poll(self) -> None:
        """Let every output do what time asks for."""
        for output in self.outputs:
            output.poll()
