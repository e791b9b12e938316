"""What asyncio, aiohttp and other libraries log through the standard library → lines like all others."""

from __future__ import annotations

import logging

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
