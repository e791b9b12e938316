"""Background tasks with names. One that ends on its own, for whatever reason, is noticed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

__all__ = ["Death", "Supervisor"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Death:
    """A task that should have run for ever and did not."""

    task: str
    cause: BaseException | None


class Supervisor:
    """Starts tasks that run until they are cancelled, and tells when one ends before that."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.death: asyncio.Future[Death] = asyncio.get_running_loop().create_future()
        """Done as soon as one of the tasks ended without being told to."""

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in the background."""
        task = asyncio.create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        name = task.get_name()
        if self._tasks.get(name) is not task:  # cancelled by us
            if not task.cancelled() and (problem := task.exception()) is not None:
                _log.error("task failed while stopping", task=name, problem=repr(problem))
            return
        del self._tasks[name]
        cause = None if task.cancelled() else task.exception()
        _log.critical("background task died", task=name, problem=repr(cause), exc_info=cause)
        if not self.death.done():
            self.death.set_result(Death(name, cause))

    @property
    def running(self) -> list[str]:
        """The names of the tasks that run."""
        return sorted(self._tasks)

    async def end(self, name: str) -> None:
        """Cancel one task, if it runs, and wait for its end."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def stop(self) -> None:
        """Cancel every task and wait for its end."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
