"""Numbered ``.sql`` files → the schema of a database.

Each file ``sql/migrations/NNNN_name.sql`` is applied once, in order, in a transaction of its own together
with its entry in ``schema_version``. A lock makes daemons that start together take turns. A file that was
applied is history: its checksum is kept, and a file that was changed since is an error, for the tables would
not be what it says.

A daemon may meet tables that are newer than it is: after a step back to an earlier version, or where several daemons
share a database and one of them was upgraded first. A file that says ``-- additive: …``, and why, in a line of its own
leaves everything in place that a daemon without it relies on: such a daemon works on. Any other newer step makes it
stop short of writing; what it receives waits in its spool.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from logstreamd.storage.errors import SchemaError
from logstreamd.storage.queries import load_queries, sql_directory
from logstreamd.storage.transaction import transaction

__all__ = [
    "AppliedMigration",
    "Connection",
    "Migration",
    "SchemaStatus",
    "load_migrations",
    "migrate",
    "status",
]

Connection: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"

_ADDITIVE = re.compile(r"^-- additive: \S", re.MULTILINE)
_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_SQL = load_queries("migrate.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: a step from one schema version to the next."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def additive(self) -> bool:
        """Whether a daemon that does not know the step works on with its tables."""
        return _ADDITIVE.search(self.sql) is not None


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A step that was taken in a database."""

    version: int
    name: str
    checksum: str
    applied_at: datetime
    additive: bool


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where a database stands.

    Attributes:
        applied: the steps taken, in order.
        pending: the steps to take.
        problem: why the steps can't be taken, or None.
    """

    applied: tuple[AppliedMigration, ...]
    pending: tuple[Migration, ...]
    problem: str | None


def load_migrations() -> list[Migration]:
    """Return the steps this version of the code knows, in order."""
    found = [
        Migration(int(named[1]), named[2], entry.read_text(encoding="utf-8"))
        for entry in (sql_directory() / "migrations").iterdir()
        if (named := _FILE_NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


async def migrate(connection: Connection, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Bring the schema up to date.

    Args:
        connection: one that is in no transaction, of a user who may create tables in schema ``public``.
        migrations: the steps (default: those of the package).

    Returns:
        The steps that were taken now.

    Raises:
        SchemaError: the database is newer than this code, by more than additive steps; or a file changed after it was
            applied.
    """
    steps = load_migrations() if migrations is None else list(migrations)
    taken = []
    for step in steps:
        async with transaction(connection):
            await connection.execute(_SQL["take_turns"])
            await connection.execute(_SQL["create_schema_version"])
            current = await status(connection, steps)
            if current.problem is not None:
                raise SchemaError(current.problem)
            if step in current.pending:
                await connection.execute(step.sql)
                await connection.execute(_SQL["record"], step.version, step.name, step.checksum, step.additive)
                taken.append(step)
    return taken


async def status(connection: Connection, migrations: Sequence[Migration] | None = None) -> SchemaStatus:
    """Tell where a database stands, changing nothing.

    Args:
        connection: a connection to it.
        migrations: the steps (default: those of the package).
    """
    steps = load_migrations() if migrations is None else list(migrations)
    rows = await connection.fetch(_SQL["applied"]) if await connection.fetchval(_SQL["has_schema_version"]) else []
    applied = tuple(AppliedMigration(*row.values()) for row in rows)
    versions = {entry.version for entry in applied}
    pending = tuple(step for step in steps if step.version not in versions)
    return SchemaStatus(applied, pending, _find_problem(applied, {step.version: step for step in steps}))


def _find_problem(applied: Sequence[AppliedMigration], known: dict[int, Migration]) -> str | None:
    for entry in applied:
        file = f"{entry.version:04}_{entry.name}.sql"
        if entry.version not in known:
            if entry.additive:
                continue
            return (
                f"the database has schema version {applied[-1].version} and this logstreamd knows up to "
                f"{max(known, default=0)}: {file} was applied by a newer one. Run that one, or name another "
                "database"
            )
        if known[entry.version].checksum != entry.checksum:
            return (
                f"{file} is not the file that was applied at {entry.applied_at:%Y-%m-%d %H:%M} UTC: "
                "restore it, and put the change into a new file"
            )
    return None
