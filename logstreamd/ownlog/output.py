"""Sets the log up: which lines, in which form, and who counts them."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Literal, TextIO, cast

import stamina.instrumentation
import structlog
from prometheus_client import Counter
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from logstreamd import tracing
from logstreamd.ownlog.exceptions import exception_as_text, structured_exception
from logstreamd.ownlog.plain import plain_values
from logstreamd.ownlog.repeats import RepeatLimiter
from logstreamd.ownlog.standard import forward_standard_library
from logstreamd.ownlog.stream import Stream

__all__ = ["LogFormat", "OwnLog", "configure_log", "set_level", "writes_json"]

LogFormat = Literal["auto", "json", "console"]

_LOOK_SECONDS = 10.0  # between two looks for lines that were left out and not mentioned
_log = structlog.get_logger(__name__)


def writes_json(log_format: LogFormat) -> bool:
    """Whether the log is JSON lines: asked for, or ``auto`` and standard error is no terminal."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


def configure_log(level: str, log_format: LogFormat, repeats: RepeatLimiter | None = None) -> OwnLog:
    """Set up the log of this process.

    Args:
        level: the least severe level that is written, ``debug`` to ``critical``.
        log_format: see :func:`writes_json`.
        repeats: decides which lines say again what others said.
    """
    own_log = OwnLog(RepeatLimiter() if repeats is None else repeats)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_trace_ids,
            structlog.processors.add_log_level,
            own_log.admit,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structured_exception,
            _in_reading_order,
            plain_values,
            *(_json() if writes_json(log_format) else _console()),
        ],
        wrapper_class=_filter(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Stream(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    # An outage is one line when it begins and one when it ends, not one for every attempt.
    stamina.instrumentation.set_on_retry_hooks([])
    forward_standard_library()
    return own_log


def set_level(level: str) -> None:
    """Write lines of another level, and of those above it, from now on."""
    structlog.configure(wrapper_class=_filter(level))


def _filter(level: str) -> type[FilteringBoundLogger]:
    return structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])


def add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the span a line is written in, while tracing is on: the processor."""
    return {**event, **tracing.current_ids()}


def _json() -> list[Processor]:
    return [structlog.processors.JSONRenderer()]


def _in_reading_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put first what people look for first, and what a line can't do without when it has too much."""
    return {name: event.pop(name) for name in ("timestamp", "level", "event")} | dict(event)


def _console() -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )
    return [exception_as_text, renderer]


class OwnLog:
    """The log of this process while it runs: leaves repeated lines out, and counts.

    Args:
        repeats: decides which.
    """

    def __init__(self, repeats: RepeatLimiter) -> None:
        self._repeats = repeats
        self._written: Counter | None = None
        self._suppressed: Counter | None = None

    def count(self, *, written: Counter, suppressed: Counter) -> None:
        """Count lines from now on; both counters have a label for the level."""
        self._written, self._suppressed = written, suppressed

    def admit(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Let a line pass, with how many like it did not: the processor.

        Raises:
            structlog.DropEvent: it does not.
        """
        left_out = 0 if "suppressed" in event else self._repeats.try_admit(event)
        counter = self._suppressed if left_out is None else self._written
        if counter is not None:
            counter.labels(event["level"]).inc()
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "suppressed": left_out} if left_out else event

    async def keep_books(self) -> None:
        """Say, for ever, what was left out and is not followed by a line that says it."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.say_overdue()

    def say_overdue(self, *, closing: bool = False) -> None:
        """Write a line for everything that was left out and not mentioned for a minute; at the end, for all of it."""
        for line in self._repeats.overdue(closing=closing):
            _log.log(logging.getLevelNamesMapping()[line.pop("level").upper()], **line)
