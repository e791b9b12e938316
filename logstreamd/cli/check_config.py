"""``logstreamd check-config``: what would run, or every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.configuration import config_option, configuration

if TYPE_CHECKING:
    from logstreamd.config import Config

__all__ = ["check_config"]


@click.command("check-config")
@config_option
def check_config(config_file: Path | None) -> None:
    """Check the configuration: one line of what would run, or every problem."""
    config, source = configuration(config_file)
    click.echo(f"ok: {source or 'built-in defaults'}: {_would_run(config)}")


def _would_run(config: Config) -> str:
    """Say in one line what a daemon would listen on and where it would keep what it receives."""
    listeners = [f"{one.type} {one.listen}" for one in config.inputs] + [f"http {config.http.listen}"]
    database = "embedded PostgreSQL" if config.database.embedded else config.database.redacted_dsn
    return f"{', '.join(listeners)} -> {database}, state in {config.state_dir}"
