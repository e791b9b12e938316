"""What a row of the benchmark's table says."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass

__all__ = ["Result", "as_json", "as_table"]


@dataclass(frozen=True)
class Result:
    """One way of bringing rows into a table.

    Attributes:
        name: which.
        rows: how many arrived in the table.
        seconds: from the first byte sent to the last row committed.
        cpu_seconds: of the receiving process; None where nobody receives.
        peak_bytes: its largest resident set.
        lost: messages sent that are not in the table.
        copy_rows_per_second: what COPY of the same rows reached in the same run; None where that was not measured.
    """

    name: str
    rows: int
    seconds: float
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    lost: int = 0
    copy_rows_per_second: float | None = None

    @property
    def rows_per_second(self) -> float:
        """Throughput."""
        return self.rows / self.seconds

    @property
    def ratio_to_copy(self) -> float | None:
        """Throughput as a part of COPY's."""
        return None if self.copy_rows_per_second is None else self.rows_per_second / self.copy_rows_per_second

    @property
    def cpu_us_per_row(self) -> float | None:
        """Processor time for one row."""
        return None if self.cpu_seconds is None or not self.rows else self.cpu_seconds / self.rows * 1e6

    @property
    def loss(self) -> float:
        """The part of the messages that was lost."""
        return self.lost / (self.rows + self.lost) if self.lost else 0.0


def _cell(value: float | None, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def as_table(results: Sequence[Result], about: str) -> str:
    """Write the results for people; the table is Markdown, so that it can be carried into a document."""
    lines = [
        about,
        "",
        "| what | rows | rows/s | of COPY | CPU µs/row | peak MiB | lost |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in results:
        peak = None if one.peak_bytes is None else one.peak_bytes / (1 << 20)
        cells = (
            one.name,
            f"{one.rows:,}",
            f"{one.rows_per_second:,.0f}",
            _cell(one.ratio_to_copy, ".2f"),
            _cell(one.cpu_us_per_row, ".2f"),
            _cell(peak, ".0f"),
            f"{one.loss:.1%}" if one.lost else "0",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(results: Sequence[Result], about: str) -> str:
    """Write the results for programs."""
    rows = [
        {
            **asdict(one),
            "rows_per_second": one.rows_per_second,
            "cpu_us_per_row": one.cpu_us_per_row,
            "ratio_to_copy": one.ratio_to_copy,
        }
        for one in results
    ]
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    return json.dumps({"about": about, "machine": machine, "results": rows}, indent=2)
