"""``python -m tests.bench --scale 1,10,50``: does a table of many millions take rows as quickly as an empty one?"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.daemon_process import DaemonProcess
from tests.acceptance.database import Database
from tests.bench.daemon_rows import Flow, measure_running
from tests.bench.native_sender import NativeSender
from tests.bench.raw_copy import encode_messages, measure_encoded
from tests.bench.sending import native_sender_program
from tests.bench.workload import syslog_messages

__all__ = ["Step", "measure_scale", "scale_as_table"]

_MILLION = 1_000_000
_COPY_ROWS = 1_000_000
# Measured: 200 bytes a row in the table, and the same again in PostgreSQL's log until it is recycled.
_BYTES_PER_ROW = 500
_ALWAYS_FREE_BYTES = 8 << 30

_SIZE = """
    SELECT sum(pg_total_relation_size(inhrelid))::bigint, sum(pg_relation_size(inhrelid))::bigint
    FROM pg_inherits WHERE inhparent = 'logs'::regclass
"""


@dataclass(frozen=True)
class Step:
    """The way to one size of the table.

    Attributes:
        rows: in the table at its end.
        rows_per_second: of what the daemon added since the step before.
        copy_rows_per_second: of raw COPY of a million rows more, at its end.
        bytes_per_row: of table, TOAST and indexes.
        index_bytes_per_row: of all that is not the table's own pages.
        cpu_us_per_row: of the daemon.
        peak_bytes: of the daemon so far.
    """

    rows: int
    rows_per_second: float
    copy_rows_per_second: float
    bytes_per_row: float
    index_bytes_per_row: float
    cpu_us_per_row: float
    peak_bytes: int


def measure_scale(millions: Sequence[int], dsn: str, directory: Path) -> Iterator[Step]:
    """Fill one database through one daemon, over TCP by line; yield a step for each size that is reached.

    Args:
        millions: sizes of the table, growing; one that the disk has no room for is left out and said so.
        dsn: an empty database.
        directory: for the daemon.
    """
    program = native_sender_program()
    if program is None:
        sys.exit("--scale needs a C compiler: the sender makes its messages on the way")
    copied = encode_messages(syslog_messages(_COPY_ROWS))
    daemon = DaemonProcess(directory / "state", dsn=dsn)
    sent = 0
    try:
        daemon.start()
        for target in millions:
            stored = _count(dsn)
            new = target * _MILLION - stored
            if new <= 0:  # COPY's own rows of the step before have filled it
                continue
            if not _has_room(new, directory):
                print(f"no room on the disk for {target} million rows", file=sys.stderr)
                return
            sent += new

            def sender(to: tuple[str, int], count: int = new) -> NativeSender:
                return NativeSender(program, "tcp", to, count=count)

            grown = measure_running(Flow(f"{target} million", "tcp", sender, new), daemon, before=sent - new)
            size, heap = _size(dsn)
            copy = measure_encoded("copy", dsn, copied)
            rows = stored + new
            yield Step(
                rows,
                grown.rows_per_second,
                copy.rows_per_second,
                size / rows,
                (size - heap) / rows,
                grown.cpu_us_per_row or 0.0,
                grown.peak_bytes or 0,
            )
        daemon.stop()
    finally:
        daemon.dispose()


def _count(dsn: str) -> int:
    with Database(dsn) as database:
        ((rows,),) = database.fetch("SELECT count(*) FROM logs")
    return int(rows)


def _size(dsn: str) -> tuple[int, int]:
    """Return the bytes of all partitions, and of their own pages alone."""
    with Database(dsn) as database:
        ((total, heap),) = database.fetch(_SIZE)
    return int(total), int(heap)


def _has_room(rows: int, directory: Path) -> bool:
    return shutil.disk_usage(directory).free > rows * _BYTES_PER_ROW + _ALWAYS_FREE_BYTES


def scale_as_table(steps: Sequence[Step]) -> str:
    """Write them for people."""
    lines = [
        "| rows stored | rows/s | raw COPY then | of COPY | CPU µs/row | bytes/row | of them index | peak MiB |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in steps:
        cells: list[Any] = [
            f"{one.rows:,}",
            f"{one.rows_per_second:,.0f}",
            f"{one.copy_rows_per_second:,.0f}",
            f"{one.rows_per_second / one.copy_rows_per_second:.2f}",
            f"{one.cpu_us_per_row:.2f}",
            f"{one.bytes_per_row:.1f}",
            f"{one.index_bytes_per_row:.1f}",
            f"{one.peak_bytes / (1 << 20):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
