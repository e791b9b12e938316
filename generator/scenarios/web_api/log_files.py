"""The three files.

=================== =====================================================================================
``access.log``      one line per request in the combined format of Apache and nginx
``error.log``       what went wrong, with stack traces
``application.log`` everything the service has to say, the same lines included
=================== =====================================================================================

:class:`~logging.handlers.WatchedFileHandler` opens a file anew that was renamed, as logrotate does.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import TracebackType

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

__all__ = ["CombinedAccessLogger", "LogFiles"]

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s [web-api] %(message)s"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_QUOTED_CHARS = 1_024  # of a header that a client chose


class LogFiles:
    """Opens the files while the block runs.

    Args:
        directory: made where it is missing.

    Raises:
        OSError: a file can't be opened.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.access = _logger("access", directory / "access.log", "%(message)s")
        self.application = _logger("application", directory / "application.log", _FORMAT)
        errors = _handler(directory / "error.log", _FORMAT)
        errors.setLevel(logging.ERROR)
        self.application.addHandler(errors)

    def __enter__(self) -> LogFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for logger in (self.access, self.application):
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()


def _logger(name: str, path: Path, line_format: str) -> logging.Logger:
    logger = logging.Logger(f"web-api.{name}", logging.DEBUG)
    logger.addHandler(_handler(path, line_format))
    return logger


def _handler(path: Path, line_format: str) -> logging.Handler:
    handler = WatchedFileHandler(path, encoding="utf-8")
    formatter = logging.Formatter(line_format, _DATE_FORMAT)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler


class CombinedAccessLogger(AbstractAccessLogger):
    """Writes the combined format.

    aiohttp's own would write what a client sent as it is; a quote in a header could then pretend to be another field.

    Source: https://httpd.apache.org/docs/2.4/logs.html#combined
    """

    def log(self, request: web.BaseRequest, response: web.StreamResponse, _time: float) -> None:
        """Write the line of a request."""
        now = datetime.now().astimezone()
        stamp = f"{now.day:02}/{_MONTHS[now.month - 1]}/{now:%Y:%H:%M:%S %z}"
        version = f"HTTP/{request.version.major}.{request.version.minor}"
        request_line = f"{request.method} {request.path_qs} {version}"
        size = response.content_length or "-"
        referer, agent = (request.headers.get(name, "-") for name in ("Referer", "User-Agent"))
        self.logger.info(
            f'{request.remote or "-"} - - [{stamp}] "{_quoted(request_line)}" {response.status} {size}'
            f' "{_quoted(referer)}" "{_quoted(agent)}"'
        )


def _quoted(text: str) -> str:
    """Return a text for between quotes, escaped as Apache does."""
    escaped = text[:_MAX_QUOTED_CHARS].replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)
