"""What the generator says about itself: a line while it runs, and what was sent at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from generator.event import LEVELS
from generator.outputs.output import Output

__all__ = ["Books", "ProgressLine", "summary"]

_EVERY_SECONDS = 1.0
_WIDTH = 79


@dataclass(slots=True)
class Books:
    """What was made.

    Attributes:
        levels: lines of each level.
        given_up: lines that were due and never made, because the outputs or this machine were too slow for too long.
        late_seconds: how far the latest batch was behind its schedule, and the largest of these.
        bursts: how many there were.
    """

    levels: Counter[str] = field(default_factory=Counter)
    given_up: int = 0
    late_seconds: float = 0.0
    most_late_seconds: float = 0.0
    bursts: int = 0
    elapsed_seconds: float = 0.0

    @property
    def made(self) -> int:
        """All lines."""
        return self.levels.total()

    def note_lateness(self, seconds: float) -> None:
        """Note how long ago the oldest line of a batch was due."""
        self.late_seconds = seconds
        self.most_late_seconds = max(self.most_late_seconds, seconds)


class ProgressLine:
    """Overwrites one line of a terminal every second.

    Args:
        write: writes to the terminal.
        outputs: whose counts are shown.
    """

    def __init__(self, write: Callable[[str], None], outputs: Sequence[Output]) -> None:
        self._write = write
        self._outputs = outputs
        self._shown_at = 0.0
        self._shown_lines = 0

    def update(self, books: Books) -> None:
        """Show how it goes, if the line is a second old."""
        passed = books.elapsed_seconds - self._shown_at
        if passed < _EVERY_SECONDS:
            return
        rate = (books.made - self._shown_lines) / passed
        self._shown_at, self._shown_lines = books.elapsed_seconds, books.made
        failed = sum(output.tally.failed for output in self._outputs)
        late = f", {books.late_seconds:.1f} s late" if books.late_seconds >= 1 else ""
        text = f"{books.elapsed_seconds:.0f} s  {books.made:,} lines  {rate:,.0f}/s{late}"
        self._write(f"\r{text + (f'  failed {failed:,}' if failed else ''):<{_WIDTH}}")

    def clear(self) -> None:
        """Take the line away."""
        self._write(f"\r{'':<{_WIDTH}}\r")


def summary(books: Books, outputs: Sequence[Output]) -> str:
    """Return what was made and what became of it, for people."""
    seconds = books.elapsed_seconds
    rate = f", {books.made / seconds:,.1f}/s" if seconds > 0 else ""
    lines = [f"made {books.made:,} lines in {seconds:.1f} s{rate}"]
    if books.made:
        shares = (f"{level} {books.levels[level]:,}" for level in LEVELS if books.levels[level])
        lines.append(f"  levels: {', '.join(shares)}")
    if books.bursts:
        lines.append(f"  bursts: {books.bursts}")
    for output in outputs:
        tally = output.tally
        lines.append(f"  {output.name}: sent {tally.sent:,}, failed {tally.failed:,}, retried {tally.retried:,}")
    if books.given_up:
        lines.append(f"  too slow: {books.given_up:,} lines were due and not made")
    if books.most_late_seconds >= 1:
        lines.append(
            f"  late: up to {books.most_late_seconds:.1f} s behind the schedule, made up for where it says nothing else"
        )
    return "\n".join(lines) + "\n"
