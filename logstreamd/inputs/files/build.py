"""Puts a file input together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from logstreamd.inputs.files.collector import Collector
from logstreamd.inputs.files.cut import Cutter
from logstreamd.inputs.files.discovery import Discovery
from logstreamd.inputs.files.input import FileInput
from logstreamd.inputs.files.mirror import Mirror
from logstreamd.inputs.gather import Gatherer
from logstreamd.metrics import Metrics
from logstreamd.wire.batch import FileKey, FilePosition
from logstreamd.wire.policy import Policy

__all__ = ["build_file_input"]


def build_file_input(
    gatherer: Gatherer,
    metrics: Metrics,
    *,
    policy: Policy,
    positions: Mapping[FileKey, FilePosition],
    note: Callable[[str, Mapping[FileKey, FilePosition]], asyncio.Future[None]],
    forget: Callable[[str, list[FileKey]], None],
    patterns: Sequence[str],
    max_frame_bytes: int,
    max_record_lines: int,
    join_timeout_seconds: float,
    max_open_files: int,
    poll_interval_seconds: float,
    mirror: tuple[Path, int, int] | None,
) -> FileInput:
    """Build the parts of a file input.

    Args:
        gatherer: where its records go.
        metrics: counted per turn.
        policy: how lines are read, for the mirror.
        positions: how far files were read by earlier runs.
        note: makes durable from where files are read.
        forget: told which positions may be forgotten.
        patterns: what is followed.
        max_frame_bytes: the size of a record.
        max_record_lines: the lines of a record; 1 joins nothing.
        join_timeout_seconds: how long a record stays open.
        max_open_files: descriptors kept.
        poll_interval_seconds: between two looks.
        mirror: directory, bytes of a file, and rotated files kept; None for no mirror.
    """
    discovery = Discovery(patterns, None if mirror is None else mirror[0])
    collector = Collector(
        discovery,
        Cutter(max_frame_bytes=max_frame_bytes, max_record_lines=max_record_lines),
        positions,
        join_timeout_seconds=join_timeout_seconds,
        max_open_files=max_open_files,
    )
    return FileInput(
        gatherer,
        metrics,
        collector,
        patterns=patterns,
        directories=discovery.directories,
        poll_interval_seconds=poll_interval_seconds,
        note=note,
        forget=forget,
        mirror=None if mirror is None else Mirror(mirror[0], max_bytes=mirror[1], files=mirror[2], policy=policy),
    )
