"""File events as a reason to look earlier. Nothing depends on them: they may be late, merged, or missing altogether."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable

import structlog

__all__ = ["wake_on_events"]

_log = structlog.get_logger(__name__)

_DEBOUNCE_MS = 50  # events of so long are one wake-up: a busy file has thousands a second
_RETRY_SECONDS = 30.0  # for a directory that does not exist yet


async def wake_on_events(directories: Iterable[str], wake: asyncio.Event) -> None:
    """Set ``wake`` whenever something happens in one of the directories; returns at once without watchfiles."""
    try:
        from watchfiles import awatch
    except ImportError:
        return
    while True:
        present = [one for one in directories if os.path.isdir(one)]  # noqa: ASYNC240, PTH112 - once in 30 s
        stop = asyncio.Event()
        try:
            if present:
                events = awatch(*present, watch_filter=None, recursive=False, debounce=_DEBOUNCE_MS, stop_event=stop)
                async for _ in events:
                    wake.set()
        except (OSError, RuntimeError) as error:  # no watches left (inotify), or the directory went away
            _log.info("file events are not available, looking on a timer", problem=str(error))
        finally:
            stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.sleep(_RETRY_SECONDS)
