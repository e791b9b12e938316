"""A line on the terminal while an answer takes its time."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["progress"]

_PATIENCE_SECONDS = 1.0  # most answers are there before anybody wonders
_EVERY_SECONDS = 0.5
_CLEAR_LINE = "\r\x1b[K"


@asynccontextmanager
async def progress(what: str) -> AsyncIterator[None]:
    """Say on standard error, if it is a terminal, what is being done and for how long, while the block lasts."""
    if not sys.stderr.isatty():
        yield
        return
    telling = asyncio.create_task(_tell(what), name="progress")
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(what: str) -> None:
    started = time.monotonic()
    await asyncio.sleep(_PATIENCE_SECONDS)
    try:
        while True:
            sys.stderr.write(f"{_CLEAR_LINE}{what} … {time.monotonic() - started:.0f} s (Ctrl-C ends it)")
            sys.stderr.flush()
            await asyncio.sleep(_EVERY_SECONDS)
    finally:
        sys.stderr.write(_CLEAR_LINE)
        sys.stderr.flush()
