"""An end for a question of several statements: each gets the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from logstreamd.query.errors import QueryTimeoutError
from logstreamd.storage.migrate import Connection

__all__ = ["Deadline"]


class Deadline:
    """When a question has to be answered.

    Args:
        seconds: from now; None: each statement has the time that its connection gives it.
        clock: seconds that only grow.
    """

    def __init__(self, seconds: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    async def hold(self, connection: Connection) -> None:
        """Let the next statements of a transaction take no longer than is left.

        Raises:
            QueryTimeoutError: nothing is left.
        """
        if self._end is None:
            return
        left_ms = int((self._end - self._clock()) * 1_000)
        if left_ms <= 0:  # to PostgreSQL, 0 would be no limit at all
            raise QueryTimeoutError("the time for all statements of the question is over")
        await connection.execute("SELECT set_config('statement_timeout', $1, true)", str(left_ms))
