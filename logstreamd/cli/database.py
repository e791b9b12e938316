"""``logstreamd db``: the schema and the days of the database, beside a running daemon or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.configuration import config_option, configuration

if TYPE_CHECKING:
    import asyncpg

    from logstreamd.config import Config

__all__ = ["db"]


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

    _with_database(config_file, work)


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

    _with_database(config_file, work)


def _with_database(config_file: Path | None, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    """Run something on the configured database; an embedded one that is down runs for as long as it takes."""
    import asyncpg as driver

    from logstreamd.storage.errors import StorageError

    config, _ = configuration(config_file)
    try:
        asyncio.run(_run_with_database(config, work))
    except (OSError, StorageError, driver.PostgresError, driver.InterfaceError, TimeoutError) as problem:
        raise click.ClickException(f"{config.database.redacted_dsn}: {problem or type(problem).__name__}") from problem


async def _run_with_database(config: Config, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    from contextlib import AsyncExitStack

    from logstreamd.storage.connections import ConnectionSettings, connect
    from logstreamd.storage.embedded import EmbeddedPostgres

    async with AsyncExitStack() as stack:
        dsn = config.database.dsn
        if config.database.embedded:
            dsn = await stack.enter_async_context(EmbeddedPostgres(config.state_dir / "postgres").borrowed())
        settings = ConnectionSettings(
            dsn, connect_timeout_seconds=config.database.connect_timeout_seconds, statement_timeout_seconds=0
        )
        connection = await connect(settings, purpose="db")
        stack.push_async_callback(connection.close)
        await work(connection)
