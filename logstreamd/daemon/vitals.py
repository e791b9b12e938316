"""Whether the daemon does its work: what a service manager should know before it decides to start it anew.

Only what a new start would cure is counted. A database that is away is not: messages are spooled meanwhile, and a
restart would lose time and datagrams. Neither is a disk that is full. What is left are the faults that a bug or a hung
system call leaves behind: an event loop that stands still (then nobody gets here), a thread that does not come back, a
task that ended, batches that wait while nobody stores them and nothing says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from logstreamd.metrics.ledger import LedgerLine
from logstreamd.spool import SpoolError

__all__ = ["Vitals"]

# The writer may be at one batch for so long: the largest one, of nothing but rows that PostgreSQL refuses one by one,
# was seen to take a minute on a busy machine.
_WRITER_SECONDS = 900.0


class Vitals:
    """Looks at the parts.

    Args:
        ping: returns when the spool's owner thread has answered.
        ledgers: what was received and what became of it, by input.
        database_problem: what is known to be wrong with the database, None when it answers.
        dead_task: the name of a background task that ended by itself, or None.
        answer_seconds: how long a ping may take until it is worth a word.
        writer_seconds: how long the writer may be at one batch.
        monotonic: a steady clock.
    """

    def __init__(
        self,
        *,
        ping: Callable[[], Awaitable[None]],
        ledgers: Callable[[], Mapping[str, LedgerLine]],
        database_problem: Callable[[], str | None],
        dead_task: Callable[[], str | None],
        answer_seconds: float,
        writer_seconds: float = _WRITER_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ping = ping
        self._ledgers = ledgers
        self._database_problem = database_problem
        self._dead_task = dead_task
        self._answer_seconds = answer_seconds
        self._writer_seconds = writer_seconds
        self._monotonic = monotonic
        self._settled = 0
        self._waiting = 0
        self._settled_at = monotonic()

    async def fault(self) -> str | None:
        """Return what a restart would cure, None when there is nothing; takes ``answer_seconds`` at most."""
        if (task := self._dead_task()) is not None:
            return f"the background task {task!r} died"
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self._ping()
        except TimeoutError:
            return "the spool's thread does not answer"
        except SpoolError as problem:
            return str(problem)
        return self._writer_fault()

    def _writer_fault(self) -> str | None:
        lines = self._ledgers().values()
        settled = sum(line.stored + line.quarantined for line in lines)
        waiting = sum(line.spooled for line in lines)
        now = self._monotonic()
        # Fewer that wait: duplicates are settled without a row. What was dropped says nothing of the writer:
        # datagrams are dropped long before it would see them.
        at_work = settled != self._settled or waiting < self._waiting
        if at_work or not waiting or self._database_problem() is not None:
            self._settled_at = now
        self._settled, self._waiting = settled, waiting
        if now - self._settled_at > self._writer_seconds:
            return f"messages wait in the spool, and none was stored for {self._writer_seconds:.0f} s"
        return None
