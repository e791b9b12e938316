"""What lies in the tables, asked with a connection that is none of the daemon's."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import asyncpg

from tests.acceptance.daemon_process import wait_for

__all__ = ["Database"]

_SEQUENCE = """
    SELECT count(*) AS rows, count(DISTINCT number) AS numbers, min(number) AS first, max(number) AS last
    FROM (SELECT substring(message FROM 'seq=(\\d+)')::integer AS number FROM logs WHERE service = $1) AS sent
"""


class Database:
    """One connection to a database, for tests that are not coroutines.

    Args:
        dsn: which one.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(dsn))

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not close(): the server may be gone, and the test knows why.
        self._connection.terminate()
        self._runner.close()

    def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return [tuple(row) for row in self._runner.run(self._connection.fetch(statement, *values))]

    def execute(self, statement: str) -> None:
        """Run statements without values."""
        self._runner.run(self._connection.execute(statement))

    def count(self, service: str) -> int:
        """Return how many rows a service has."""
        (row,) = self.fetch("SELECT count(*) FROM logs WHERE service = $1", service)
        return int(row[0])

    def wait_for_rows(self, service: str, count: int, *, seconds: float = 60) -> None:
        """Wait until a service has at least so many rows."""
        wait_for(f"{count} rows of {service}", lambda: self.count(service) >= count, seconds=seconds)

    def assert_each_once(self, service: str, count: int) -> None:
        """The messages ``seq=0`` to ``seq=count-1`` of a service are there, each exactly once."""
        assert self.fetch(_SEQUENCE, service) == [(count, count, 0, count - 1)]

    def distinct(self, columns: str, service: str) -> list[tuple[Any, ...]]:
        """Return the different values of columns that the rows of a service have."""
        return self.fetch(f"SELECT DISTINCT {columns} FROM logs WHERE service = $1", service)
