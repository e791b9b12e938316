"""``logstreamd spool``: what waits on disk, beside a running daemon or without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from logstreamd.cli.configuration import config_option, configuration

__all__ = ["spool"]


@click.group()
def spool() -> None:
    """Look into the spool."""


@spool.command()
@config_option
def status(config_file: Path | None) -> None:
    """Show how much waits, and who runs on it."""
    from logstreamd.config import size_text
    from logstreamd.spool.inspect import spool_status

    with _spool_directory(config_file) as directory:
        found = spool_status(directory)
    click.echo(f"directory  {found.directory}")
    click.echo(f"id         {found.id or 'none'}")
    click.echo(f"daemon     {f'process {found.owner_pid}' if found.owner_pid else 'not running'}")
    click.echo(f"batches    {found.batches} ({size_text(found.body_bytes)}; files {size_text(found.file_bytes)})")
    for name, frames in sorted(found.frames_by_input.items()):
        click.echo(f"messages   {frames} of input {name}")
    if found.oldest_appended_at is not None:
        click.echo(f"oldest     {_time(found.oldest_appended_at)}")
    for name in found.set_aside:
        click.echo(f"set aside  {name}")


@spool.command()
@config_option
def inspect(config_file: Path | None) -> None:
    """List the batches, each read and checked; exit code 1 when one can't be read."""
    from logstreamd.spool.inspect import batch_summaries

    unreadable = 0
    with _spool_directory(config_file) as directory:
        for batch in batch_summaries(directory):
            note = f"  UNREADABLE: {batch.problem}" if batch.problem else ""
            click.echo(
                f"{batch.seq:>12}  {_time(batch.appended_at)}  {batch.input:<12} {batch.frames:>6} messages "
                f"{batch.body_bytes:>9} bytes{note}"
            )
            unreadable += batch.problem is not None
    if unreadable:
        raise click.ClickException(f"{unreadable} batches can't be read")


@spool.command()
@config_option
def export(config_file: Path | None) -> None:
    """Write every message that waits as a line of JSON."""
    from logstreamd.spool.inspect import export_frames

    with _spool_directory(config_file) as directory:
        for frame in export_frames(directory):
            click.echo(json.dumps(frame))


@contextmanager
def _spool_directory(config_file: Path | None) -> Iterator[Path]:
    from logstreamd.spool import SpoolError

    config, _ = configuration(config_file)
    try:
        yield config.state_dir / "spool"
    except SpoolError as problem:
        raise click.ClickException(str(problem)) from problem


def _time(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
