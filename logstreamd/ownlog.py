"""The daemon's own log: to standard error, as JSON lines or, on a terminal, for people.

Never a line per record, and never anything from a peer unescaped: control characters in values are written as escapes,
so that a hostile message can neither forge a line nor drive a terminal.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import stamina.instrumentation
import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["configure_log", "writes_json"]


def writes_json(log_format: Literal["auto", "json", "console"]) -> bool:
    """Whether the log is JSON lines: asked for, or ``auto`` and standard error is no terminal."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


def configure_log(level: str, log_format: Literal["auto", "json", "console"]) -> None:
    """Set up the log of this process.

    Args:
        level: the least severe level that is written, ``debug`` to ``critical``.
        log_format: see :func:`writes_json`.
    """
    as_json = writes_json(log_format)
    renderer = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape_controls,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # An outage is one line when it begins and one when it ends, not one for every attempt.
    stamina.instrumentation.set_on_retry_hooks([])
    # asyncio and aiohttp report through the standard library.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def _escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n" if key == "exception" else ""  # a traceback has lines of its own
            event[key] = "".join(char if char.isprintable() or char in kept else repr(char)[1:-1] for char in value)
    return event
