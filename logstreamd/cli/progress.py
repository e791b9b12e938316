"""A line on the terminal while an answer takes its time."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

__all__ = ["progress"]

_PATIENCE_SECONDS = 1.0  # most answers are there before anybody wonders
_EVERY_SECONDS = 0.5
_CLEAR_LINE = "\r\x1b[K"


@asynccontextmanager
async def progress(what: str, stream: IO[str] | None = None) -> AsyncIterator[None]:
    """Say what is being done and for how long, while the block lasts.

    Args:
        what: a word.
        stream: where to, if it is a terminal; standard error when not given.
    """
    terminal = sys.stderr if stream is None else stream
    if not terminal.isatty():
        yield
        return
    telling = asyncio.create_task(_tell(what, terminal), name="progress")
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(what: str, terminal: IO[str]) -> None:
    started = time.monotonic()
    await asyncio.sleep(_PATIENCE_SECONDS)
    try:
        while True:
            terminal.write(f"{_CLEAR_LINE}{what} … {time.monotonic() - started:.0f} s (Ctrl-C ends it)")
            terminal.flush()
            await asyncio.sleep(_EVERY_SECONDS)
    finally:
        terminal.write(_CLEAR_LINE)
        terminal.flush()
