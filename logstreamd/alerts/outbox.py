"""The outbox beside the event loop: its file is touched by one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from logstreamd.alerts.outbox_file import Change, OutboxFile, Stored

__all__ = ["Outbox"]

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Outbox:
    """What every notifier knows, durable.

    Args:
        path: the file, in a directory of its own.
    """

    def __init__(self, path: Path) -> None:
        self._file = OutboxFile(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts outbox")

    async def open(self, now: float) -> list[Stored]:
        """Open the file and return what an earlier run left in it.

        Raises:
            OutboxError: it cannot be used.
        """
        stored, aside = await self._run(lambda: self._file.open(now))
        if aside is not None:
            _log.error("the alerts' outbox was damaged; alerts may be told again", kept_in=str(aside))
        return stored

    async def write(self, changes: Sequence[Change]) -> None:
        """Apply changes; they are durable when this returns.

        Raises:
            sqlite3.Error: nothing of them was written.
        """
        await self._run(lambda: self._file.write(changes))

    async def close(self) -> None:
        """Let go of the file."""
        await self._run(self._file.close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
