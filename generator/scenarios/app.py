"""``app``: the logs of an application, at a rate, to any outputs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from random import Random, SystemRandom
from typing import Any

from generator.bursts import Bursts
from generator.opening import open_channels
from generator.outputs.output import Output
from generator.progress import ProgressLine, summary
from generator.run import Run
from generator.settings import OPTIONS, Settings, read_settings
from generator.source import Source
from generator.stop import Stop
from generator.terminal import show, tell
from generator.wall_time import WallTime

__all__ = ["OPTIONS", "run"]


def run(flags: Mapping[str, Any], environment: Mapping[str, str], stop: Stop) -> int:
    """Make logs until told to stop.

    Returns:
        1 when lines were given up on the way out, else 0.

    Raises:
        SettingsError: the settings can't be used, or an output can't be opened.
    """
    settings = read_settings(flags, environment)
    source_rng, burst_rng = _generators(settings.seed)
    with ExitStack() as cleanup:
        channels = open_channels(settings, stop=stop, tell=tell, cleanup=cleanup)
        outputs = [output for channel in channels for output in channel.outputs]
        progress = _progress(settings, outputs)
        making = Run(
            Source(settings.distribution, source_rng, with_patterns=settings.patterns),
            Bursts(settings.rate, settings.bursts, burst_rng),
            channels,
            clock=time.monotonic,
            wall=WallTime(lambda: time.time_ns() // 1_000, settings.start_time),
            stop=stop,
            count=settings.count,
            duration=settings.duration,
            progress=progress,
        )
        making.run()
    if progress is not None:
        progress.clear()
    show(summary(making.books, outputs))
    return int(any(output.tally.failed for output in outputs))


def _generators(seed: int | None) -> tuple[Random, Random]:
    """Return generators of their own for lines and bursts: neither's draws depend on how far the other one is."""
    first = Random(SystemRandom().getrandbits(53) if seed is None else seed)  # noqa: S311 - nothing secret is drawn
    return Random(first.getrandbits(53)), Random(first.getrandbits(53))  # noqa: S311


def _progress(settings: Settings, outputs: Sequence[Output]) -> ProgressLine | None:
    """Return the line for a terminal, unless the logs themselves go there."""
    if not sys.stderr.isatty() or (settings.console_output and sys.stdout.isatty()):
        return None
    return ProgressLine(show, outputs)
