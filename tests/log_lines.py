"""The log as it is written, line by line: configured for a test, and taken down after it."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from logstreamd.ownlog import OwnLog, configure_log
from logstreamd.ownlog.repeats import RepeatLimiter

__all__ = ["LogLines", "log_lines"]


class Terminal(io.StringIO):
    """Where people look."""

    def isatty(self) -> bool:
        return True


class LogLines:
    """What was written."""

    def __init__(self, own_log: OwnLog, stream: io.StringIO) -> None:
        self.own_log = own_log
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Every line of a JSON log."""
        return [json.loads(line) for line in self.text.splitlines()]

    def about(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [entry for entry in self.entries if entry["event"] == event]


@contextmanager
def log_lines(
    log_format: str = "json", *, level: str = "debug", terminal: bool = False, repeats: RepeatLimiter | None = None
) -> Iterator[LogLines]:
    """Send the log of the process to a stream while the block lasts."""
    handlers, level_of_root, standard_error = logging.root.handlers[:], logging.root.level, sys.stderr
    hooks = threading.excepthook, sys.unraisablehook, sys.excepthook
    stream = sys.stderr = Terminal() if terminal else io.StringIO()
    try:
        yield LogLines(configure_log(level, log_format, repeats), stream)  # type: ignore[arg-type]
    finally:
        sys.stderr = standard_error
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.captureWarnings(False)
        threading.excepthook, sys.unraisablehook, sys.excepthook = hooks
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level_of_root)
