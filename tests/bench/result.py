"""What a row of the benchmark's table says."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

__all__ = ["Result", "as_json", "as_table", "compare", "median_of"]


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
        ratio_to_copy: to the rows a second of COPY of the same rows in the same run; None where that means nothing.
        ratio_to_peer: to those of rsyslog, the quicker of its inputs.
        spread: half of the distance between the slowest and the quickest repetition, as a part of the median.
    """

    name: str
    rows: int
    seconds: float
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    lost: int = 0
    ratio_to_copy: float | None = None
    ratio_to_peer: float | None = None
    spread: float | None = None

    @property
    def rows_per_second(self) -> float:
        """Throughput."""
        return self.rows / self.seconds

    @property
    def cpu_us_per_row(self) -> float | None:
        """Processor time for one row."""
        return None if self.cpu_seconds is None or not self.rows else self.cpu_seconds / self.rows * 1e6

    @property
    def cpu_share(self) -> float | None:
        """Processor time as a part of one core's."""
        return None if self.cpu_seconds is None else self.cpu_seconds / self.seconds

    @property
    def loss(self) -> float:
        """The part of the messages that was lost."""
        return self.lost / (self.rows + self.lost) if self.lost else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name."""
        return {
            **asdict(self),
            "rows_per_second": self.rows_per_second,
            "cpu_us_per_row": self.cpu_us_per_row,
            "cpu_share": self.cpu_share,
        }


def compare(result: Result, copy: Result | None, peer_rows_per_second: float | None) -> Result:
    """Return a result with its ratios.

    Args:
        result: what was measured.
        copy: COPY of the same rows in the same run.
        peer_rows_per_second: of rsyslog in the same run.
    """
    rate = result.rows_per_second
    return replace(
        result,
        ratio_to_copy=rate / copy.rows_per_second if copy else None,
        ratio_to_peer=rate / peer_rows_per_second if copy and peer_rows_per_second else None,
    )


def median_of(repetitions: Sequence[Result]) -> Result:
    """Return the repetition in the middle, with medians of the ratios (each within its run) and the spread."""
    ordered = sorted(repetitions, key=lambda one: one.rows_per_second)
    middle = ordered[len(ordered) // 2]
    if len(ordered) == 1:
        return middle
    rate = middle.rows_per_second
    return replace(
        middle,
        peak_bytes=max((one.peak_bytes for one in ordered if one.peak_bytes is not None), default=None),
        ratio_to_copy=_median(one.ratio_to_copy for one in ordered),
        ratio_to_peer=_median(one.ratio_to_peer for one in ordered),
        spread=(ordered[-1].rows_per_second - ordered[0].rows_per_second) / 2 / rate if rate else None,
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _cell(value: float | None, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def as_table(results: Sequence[Result]) -> str:
    """Write the results for people; the table is Markdown, so that it can be carried into a document."""
    lines = [
        "| what | rows | rows/s | ± | of COPY | of rsyslog | CPU µs/row | CPU of a core | peak MiB | lost |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in results:
        peak = None if one.peak_bytes is None else one.peak_bytes / (1 << 20)
        cells = (
            one.name,
            f"{one.rows:,}",
            f"{one.rows_per_second:,.0f}",
            _cell(one.spread, ".0%"),
            _cell(one.ratio_to_copy, ".2f"),
            _cell(one.ratio_to_peer, ".1f"),
            _cell(one.cpu_us_per_row, ".2f"),
            _cell(one.cpu_share, ".1%"),
            _cell(peak, ".0f"),
            _loss(one),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _loss(result: Result) -> str:
    if not result.lost:
        return "0"
    # A loss that rounds to nothing is none to hide.
    return f"{result.loss:.1%}" if result.loss >= 0.0005 else f"{result.lost:,}"


def as_json(about: str, values: Mapping[str, object]) -> str:
    """Write what was measured for programs."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    return json.dumps({"about": about, "machine": machine, **values}, indent=2)
