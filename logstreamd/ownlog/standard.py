"""What asyncio, aiohttp and other libraries log, and what Python itself would print → lines like all others.

A traceback that goes to standard error as it is would break a log of JSON lines, and could hold what a peer sent.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

import structlog

__all__ = ["forward_standard_library"]


class _Forwarder(logging.Handler):
    """Hands records on, with the name of their logger."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            min(record.levelno, logging.CRITICAL), _message(record), logger=record.name, exc_info=record.exc_info
        )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # its arguments do not fit its text, which is no reason to lose it
        return f"{record.msg} {record.args!r}"


def forward_standard_library() -> None:
    """Take over the standard library's logging, warnings of Python included."""
    logging.root.handlers[:] = [_Forwarder()]
    logging.root.setLevel(logging.WARNING)  # what libraries say below that is about themselves
    logging.captureWarnings(True)
    threading.excepthook = _thread_died
    sys.unraisablehook = _unraisable
    sys.excepthook = _process_dies


def _thread_died(died: threading.ExceptHookArgs) -> None:
    name = died.thread.name if died.thread is not None else None
    structlog.get_logger().critical("thread died", thread=name, exc_info=died.exc_value)


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    structlog.get_logger().error("exception nobody could catch", where=repr(problem.object), exc_info=problem.exc_value)


def _process_dies(kind: type[BaseException], problem: BaseException, _place: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, problem, _place)
        return
    structlog.get_logger().critical("the daemon died of a defect", exc_info=problem)
