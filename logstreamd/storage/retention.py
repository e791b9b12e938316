"""What is to go → gone: whole days at once, single rows bit by bit, their blocks and counts with them.

A day goes in one transaction. First its blocks and counts are deleted, which may take long and which nobody waits for;
then its partition is taken off the table, for which nobody may be in it. That lock is asked for with a short timeout,
again and again. Under it, what batches committed in the meantime is cleared too, so that nothing is told of rows that
are gone. The files are removed when the lock is gone as well.

Rows of a rule go block by block, each in a short transaction that also corrects the block and the counts; between two
of them as much time passes as the last one took. Neither waits for a writer or makes one wait: deleting locks the rows
that it deletes, and writers only add some.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from time import monotonic

import asyncpg

from logstreamd.storage.migrate import Connection
from logstreamd.storage.partitions import Partitions, attached_days, drop_detached
from logstreamd.storage.queries import load_queries
from logstreamd.storage.retention_plan import Expired, RetentionPolicy, RetentionRule, begin_of, plan_retention
from logstreamd.storage.transaction import transaction
from logstreamd.storage.turns import try_turn

__all__ = ["ROUND_SECONDS", "Retention"]

_SQL = load_queries("retention.sql")

ROUND_SECONDS = 2.0
"""How long one round of deleting may go on before other work gets its turn."""
_PATIENCE_SECONDS = 600.0
_MINUTE_SECONDS = 60
_EVERYTHING = RetentionRule(0)


class _LeftAloneError(Exception):
    """A day is in use, or another session has the turn: it is tried again in the next pass."""


@dataclass(slots=True)
class _Task:
    """What is being worked on, and up to which block it is done."""

    expired: Expired
    done_up_to: int = -1


class Retention:
    """Applies a policy in rounds; a pass over everything that is to go takes one round or many.

    Args:
        policy: what may be kept.
        partitions: of the same daemon, which must not believe in a day that is gone.
        clock: seconds that only grow.
    """

    def __init__(
        self, policy: RetentionPolicy, partitions: Partitions, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self.policy = policy
        self._partitions = partitions
        self._clock = clock
        self._tasks: deque[_Task] = deque()
        self._replaced = False

    @property
    def more(self) -> bool:
        """Whether the pass that was begun is not finished."""
        return bool(self._tasks) or self._replaced

    def replace(self, policy: RetentionPolicy) -> None:
        """Apply another policy from the next round on; what is being deleted right now goes by the old one."""
        self.policy = policy
        self._tasks = deque()
        self._replaced = True

    async def round(self, connection: Connection, now: datetime) -> list[Expired]:
        """Go on with the pass, or begin the next one.

        Args:
            connection: one that is in no transaction.
            now: the time.

        Returns:
            What went, as far as it went in this round.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, OSError: the database is in trouble.
        """
        if not self._tasks:
            await drop_detached(connection)  # those that a crash left
            self._replaced = False
            planned = await plan_retention(connection, self.policy, now)
            if not self._replaced:
                self._tasks = deque(map(_Task, planned))
        tasks = self._tasks
        deadline = self._clock() + ROUND_SECONDS
        went = []
        while tasks is self._tasks and tasks and self._clock() < deadline:
            task = tasks[0]
            try:
                gone, finished = await self._work(connection, task, deadline)
            except _LeftAloneError:
                gone, finished = None, True
            if gone is not None:
                went.append(gone)
            if finished:
                tasks.popleft()
        return went

    async def _work(self, connection: Connection, task: _Task, deadline: float) -> tuple[Expired | None, bool]:
        """Do something about a task; return what went, and whether that was all."""
        expired = task.expired
        if expired.rule is None and expired.day in await attached_days(connection):
            return await self._drop_day(connection, expired), True
        rows = 0
        while self._clock() < deadline:
            begun = self._clock()
            deleted = await _delete_of_next_block(connection, task)
            if deleted is None:
                return replace(expired, rows=rows) if rows else None, True
            rows += deleted
            await asyncio.sleep(self._clock() - begun)
        return replace(expired, rows=rows) if rows else None, False

    async def _drop_day(self, connection: Connection, expired: Expired) -> Expired:
        day = expired.day
        async with transaction(connection):
            if not await try_turn(connection):
                raise _LeftAloneError
            await connection.execute(_SQL["be_patient"])
            rows = await connection.fetchval(_SQL["rows_of_day"], day)
            await _clear_day(connection, day)
            if await self._partitions.detach(connection, day, lambda: _clear_rest(connection, day)) is None:
                raise _LeftAloneError
        await drop_detached(connection)
        return replace(expired, rows=rows)


async def _clear_day(connection: Connection, day: date) -> None:
    span = begin_of(day), begin_of(day + timedelta(days=1))
    await connection.execute(_SQL["clear_blocks"], day, timeout=_PATIENCE_SECONDS)
    await connection.execute(_SQL["clear_counts"], *span, timeout=_PATIENCE_SECONDS)
    await connection.execute(_SQL["clear_totals"], *span, timeout=_PATIENCE_SECONDS)


async def _clear_rest(connection: Connection, day: date) -> None:
    """Clear what batches stored since :func:`_clear_day`, whose counts are not folded; there are no more to come."""
    await connection.execute(_SQL["clear_blocks"], day)
    first = round(begin_of(day).timestamp()) // _MINUTE_SECONDS
    await connection.execute(_SQL["forget_pending"], first, first + 24 * 60)


async def _delete_of_next_block(connection: Connection, task: _Task) -> int | None:
    """Delete the rows of the next block that has any; return how many, or None when there is no such block."""
    expired, rule = task.expired, task.expired.rule or _EVERYTHING
    begin, end = expired.span or (begin_of(expired.day), begin_of(expired.day + timedelta(days=1)))
    matching = rule.severities, rule.services
    try:
        async with transaction(connection):
            if not await try_turn(connection):
                raise _LeftAloneError
            await connection.execute(_SQL["be_brief"])
            found = await connection.fetch(_SQL["blocks_to_read"], expired.day, task.done_up_to, begin, end, *matching)
            if not found:
                return None
            ((first_id, last_id),) = found
            rows: int = await connection.fetchval(
                _SQL["delete_rows"], expired.day, first_id, last_id, begin, end, *matching
            )
            await connection.execute(_SQL["delete_empty_blocks"], expired.day, first_id, last_id)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as busy:
        raise _LeftAloneError from busy
    task.done_up_to = first_id
    return rows
