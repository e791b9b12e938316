"""A reload: the configuration is read again, and what has changed is put in force: all of it, or nothing.

Two phases. *Prepare* is whatever can fail: the file is read and checked, rule files are read, certificates loaded,
sockets bound; a failure undoes what was prepared, and everything stays as it was. *Commit* cannot fail: it swaps
settings, starts what is new and stops what is gone. A part of the daemon takes part with one coroutine that prepares,
and leaves in the :class:`Change` what is to be done then, or undone.

A file that changes a setting which takes effect only at a restart (:mod:`logstreamd.config.effects`) is refused as a
whole: half of a file in force would be a configuration that nobody wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, TypeAlias

import structlog

from logstreamd.config import ConfigError, Problem
from logstreamd.config.effects import changed_settings, effect_of
from logstreamd.config.problems import KeyPath, path_text
from logstreamd.daemon.material import Material
from logstreamd.metrics import Metrics

__all__ = ["Change", "Prepare", "Reloader"]

_log = structlog.get_logger(__name__)

# Names of hosts are looked up meanwhile. Well below the 90 s after which systemd gives up waiting for a stop.
_PREPARE_SECONDS = 15.0
_MAX_SHOWN_PROBLEMS = 20  # in the log and in /status; check-config shows them all

Step: TypeAlias = Callable[[], Awaitable[None]]


class Change:
    """One reload: from what to what, and how.

    Args:
        old: what is in force.
        new: what shall be.

    Attributes:
        problems: why it can't be; with one of them nothing happens.
        changed: what becomes different, for people: names, no values.
    """

    def __init__(self, old: Material, new: Material) -> None:
        self.old = old
        self.new = new
        self.problems: list[Problem] = []
        self.changed = [path_text(path) for path in changed_settings(old.config, new.config)]
        self._steps: list[Step] = []
        self._undoing = AsyncExitStack()

    def refuse(self, path: KeyPath, message: str) -> None:
        """Note that a setting can't be put in force."""
        self.problems.append(self.new.loaded.problem(path, message))

    def at_commit(self, step: Step) -> None:
        """Have something done that cannot fail, when everything is prepared; in the order of asking."""
        self._steps.append(step)

    def at_refusal(self, step: Step) -> None:
        """Have something undone, when another part can't be prepared; the last one first."""
        self._undoing.push_async_callback(step)

    async def commit(self) -> None:
        """Do what was prepared."""
        for step in self._steps:
            await step()

    async def undo(self) -> None:
        """Undo what was prepared."""
        await self._undoing.aclose()


Prepare: TypeAlias = Callable[[Change], Awaitable[None]]
"""A part's side of a reload: raises ConfigError or OSError, or refuses in the change, where it can't follow."""


class Reloader:
    """Reloads when asked to, one time after the other.

    Args:
        material: what is in force.
        read: reads it again; raises ConfigError.
        metrics: show how it went.
        on_begin: called before a reload.
        on_end: called after it, however it went.
    """

    def __init__(
        self,
        material: Material,
        read: Callable[[], Material],
        metrics: Metrics,
        *,
        on_begin: Callable[[], object] = lambda: None,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._material = material
        self._read = read
        self._metrics = metrics
        self._on_begin = on_begin
        self._on_end = on_end
        self._parts: list[Prepare] = []
        self._asked = asyncio.Event()
        self._busy = asyncio.Lock()
        self._stopping = False
        self._generation = 1
        self._loaded_at = datetime.now(UTC)
        self._last: dict[str, Any] | None = None
        self._show(self._loaded_at)

    def _show(self, applied_at: datetime) -> None:
        self._metrics.config_last_reload_successful.set(1)
        self._metrics.config_last_reload_success_timestamp_seconds.set(applied_at.timestamp())

    def add(self, *parts: Prepare) -> None:
        """Have parts take part; they prepare, and commit, in the order in which they were added."""
        self._parts.extend(parts)

    def ask(self) -> None:
        """Ask for a reload; a second one while one runs begins after it, and stands for all that came meanwhile."""
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever asked to: the background task that has to be watched."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            async with self._busy:
                if not self._stopping:
                    await self.reload()

    async def stop(self) -> None:
        """Let a reload end that runs, and begin no other."""
        self._stopping = True
        async with self._busy:
            pass

    async def reload(self) -> None:
        """Read the configuration and put it in force, or say why not."""
        self._on_begin()
        try:
            change = await self._change()
        except ConfigError as refusal:
            self._note_refusal(refusal.problems)
        else:
            self._note_success(change)
        finally:
            self._on_end()

    async def _change(self) -> Change:
        """Prepare and commit.

        Raises:
            ConfigError: it can't be; nothing has happened.
        """
        try:
            async with asyncio.timeout(_PREPARE_SECONDS):
                change = await self._prepare()
        except TimeoutError:
            message = f"could not be read and prepared within {_PREPARE_SECONDS:g} seconds"
            raise ConfigError([self._material.loaded.problem((), message)]) from None
        await change.commit()
        self._material = change.new
        return change

    async def _prepare(self) -> Change:
        """Do everything that can fail; what was done is undone when something does."""
        # On a thread: YAML of the largest size takes two seconds.
        change = Change(self._material, await asyncio.to_thread(self._read))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(change.undo)
            for path in changed_settings(change.old.config, change.new.config):
                if effect_of(path) == "restart":
                    change.refuse(path, "takes effect only at a restart")
            for prepare in self._parts:
                await _prepare_part(prepare, change)
            if self._stopping:
                change.refuse((), "the daemon is about to stop")
            if change.problems:
                raise ConfigError(change.problems)
            stack.pop_all()
        return change

    def _note_success(self, change: Change) -> None:
        self._generation += 1
        self._loaded_at = datetime.now(UTC)
        self._note("applied", [])
        self._show(self._loaded_at)
        _log.info("configuration reloaded", generation=self._generation, changed=change.changed)

    def _note_refusal(self, problems: Sequence[Problem]) -> None:
        shown = list(_shown(problems))
        self._note("refused", shown)
        self._metrics.config_last_reload_successful.set(0)
        _log.error("configuration not reloaded: everything stays as it was", problems=shown)

    def _note(self, outcome: str, problems: list[str]) -> None:
        self._metrics.config_reloads.labels(outcome).inc()
        self._last = {"at": datetime.now(UTC).isoformat(), "outcome": outcome, "problems": problems}

    def status(self) -> dict[str, Any]:
        """Return which configuration is in force, and how the last attempt to change it went."""
        file = self._material.loaded.file
        return {
            "loaded_at": self._loaded_at.isoformat(),
            "file": None if file is None else str(file),
            "generation": self._generation,
            "last_reload": self._last,
        }


async def _prepare_part(prepare: Prepare, change: Change) -> None:
    try:
        await prepare(change)
    except ConfigError as error:
        change.problems += error.problems
    except OSError as error:
        change.refuse((), str(error))


def _shown(problems: Iterable[Problem]) -> Iterator[str]:
    texts = [str(problem) for problem in problems]
    yield from texts[:_MAX_SHOWN_PROBLEMS]
    if len(texts) > _MAX_SHOWN_PROBLEMS:
        yield f"and {len(texts) - _MAX_SHOWN_PROBLEMS} more: logstreamd check-config shows all of them"
