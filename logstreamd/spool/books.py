"""What a spool holds, in numbers: kept on the event loop's thread, exact after every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from logstreamd.spool.interface import CorruptionReport

__all__ = ["Books", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch as the books see it."""

    input: str
    frames: int
    cost: int
    """Bytes of the spool's limit it takes."""


@dataclass(slots=True)
class Books:
    """Batches durable and not acknowledged, and what they take until they are deleted."""

    batches: int = 0
    frames: Counter[str] = field(default_factory=Counter)
    used_bytes: int = 0
    corrupt_batches: int = 0
    corrupt_frames: Counter[str] = field(default_factory=Counter)
    corrupt_files: int = 0
    _acknowledged: dict[int, Entry] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """A batch became durable."""
        self.batches += 1
        self.frames[entry.input] += entry.frames
        self.used_bytes += entry.cost

    def acknowledge(self, seq: int, entry: Entry) -> None:
        """A batch is stored; it takes its bytes until :meth:`delete`."""
        self.batches -= 1
        self.frames[entry.input] -= entry.frames
        self._acknowledged[seq] = entry

    def delete(self, seqs: Iterable[int]) -> None:
        """Acknowledged batches are gone from the disk."""
        for seq in seqs:
            entry = self._acknowledged.pop(seq, None)
            if entry is not None:
                self.used_bytes -= entry.cost

    def lose(self, report: CorruptionReport, cost: int) -> None:
        """Rows were found corrupt and are not counted as spooled any more."""
        self.batches -= report.batches
        self.frames.subtract(report.frames_by_input)
        self.used_bytes -= cost
        self.note_corrupt(report)

    def note_corrupt(self, report: CorruptionReport) -> None:
        """Count what was lost without having been counted as spooled."""
        self.corrupt_batches += report.batches
        self.corrupt_frames.update(report.frames_by_input)

    def recount(self, batches: int, frames: dict[str, int], cost: int) -> tuple[int, dict[str, int]]:
        """Take over what the disk really holds after a salvage, acknowledged batches included.

        Returns:
            How many batches, and frames by input, the books had and the disk has not.
        """
        expected = self.frames.copy()
        for entry in self._acknowledged.values():
            expected[entry.input] += entry.frames
        lost = {name: count - frames.get(name, 0) for name, count in expected.items()}
        lost_batches = self.batches + len(self._acknowledged) - batches
        self.batches -= lost_batches
        self.frames.subtract(lost)
        self.used_bytes = cost
        return lost_batches, {name: count for name, count in lost.items() if count}

    def frames_by_input(self) -> dict[str, int]:
        """Frames durable and not acknowledged; an input that ever had some stays, with 0."""
        return dict(self.frames)
