"""``logstreamd db``: the schema and the days of the database, beside a running daemon or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.configuration import config_option, configuration

if TYPE_CHECKING:
    import asyncpg

    from logstreamd.config import Config
    from logstreamd.storage.retention_plan import Expired

__all__ = ["db", "with_database"]


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@config_option
def migrate(config_file: Path | None) -> None:
    """Bring the schema up to date; `run` does the same at its start."""
    from logstreamd.storage.migrate import migrate as migrate_schema

    async def work(connection: asyncpg.Connection) -> None:
        taken = await migrate_schema(connection)
        for step in taken:
            click.echo(f"{step.version:04} {step.name}: applied")
        if not taken:
            click.echo("nothing to do")

    config, _ = configuration(config_file)
    with_database(config, work)


@db.command()
@config_option
def status(config_file: Path | None) -> None:
    """Show the schema's migrations, applied and pending; exit code 1 when something keeps them from being applied."""
    from logstreamd.storage.migrate import status as schema_status

    async def work(connection: asyncpg.Connection) -> None:
        found = await schema_status(connection)
        for entry in found.applied:
            click.echo(f"{entry.version:04} {entry.name}: applied {entry.applied_at:%Y-%m-%d %H:%M:%S} UTC")
        for step in found.pending:
            click.echo(f"{step.version:04} {step.name}: pending")
        if found.problem is not None:
            raise click.ClickException(found.problem)

    config, _ = configuration(config_file)
    with_database(config, work)


@db.command()
@click.option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
@config_option
def retention(config_file: Path | None, *, dry_run: bool) -> None:
    """Drop what is not to be kept; `run` does the same every hour. Exit code 1 when something is in use and stays."""
    from datetime import UTC, datetime

    from logstreamd.maintenance import retention_policy
    from logstreamd.storage.partitions import Partitions
    from logstreamd.storage.retention import Retention
    from logstreamd.storage.retention_plan import plan_retention

    config, _ = configuration(config_file)
    policy = retention_policy(config.retention)

    async def work(connection: asyncpg.Connection) -> None:
        now = datetime.now(UTC)
        if dry_run:
            _show(await plan_retention(connection, policy, now))
            return
        one_pass = Retention(policy, Partitions())
        went = await one_pass.round(connection, now)
        while one_pass.more:
            went += await one_pass.round(connection, now)
        _show(went)
        left = await plan_retention(connection, policy, now)
        if left:
            days = ", ".join(sorted({one.day.isoformat() for one in left}))
            raise click.ClickException(f"in use, or a daemon is at work on it: {days}; try again later")

    with_database(config, work)


def _show(expired: Iterable[Expired]) -> None:
    """Print one line for each day and reason."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for one in expired:
        rows, byte_count = sums.get((one.day.isoformat(), one.why), (0, 0))
        sums[one.day.isoformat(), one.why] = rows + one.rows, byte_count + one.byte_count
    for (day, why), (rows, byte_count) in sorted(sums.items()):
        click.echo(f"{day}  {rows:>15,} rows  {byte_count:>19,} bytes  {why}")
    if not sums:
        click.echo("nothing to do")


def with_database(config: Config, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    """Run something on the configured database; an embedded one that is down runs for as long as it takes."""
    import asyncpg as driver

    from logstreamd.storage.errors import StorageError

    try:
        asyncio.run(_runwith_database(config, work))
    except (OSError, StorageError, driver.PostgresError, driver.InterfaceError, TimeoutError) as problem:
        raise click.ClickException(f"{config.database.redacted_dsn}: {problem or type(problem).__name__}") from problem


async def _runwith_database(config: Config, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    from contextlib import AsyncExitStack

    from logstreamd.daemon.connecting import connection_settings
    from logstreamd.storage.connections import connect
    from logstreamd.storage.embedded import EmbeddedPostgres

    async with AsyncExitStack() as stack:
        dsn = config.database.dsn
        if config.database.embedded:
            dsn = await stack.enter_async_context(EmbeddedPostgres(config.state_dir / "postgres").borrowed())
        settings = connection_settings(config.database, dsn, statement_timeout_seconds=0)
        connection = await connect(settings, purpose="db")
        stack.push_async_callback(connection.close)
        await work(connection)
