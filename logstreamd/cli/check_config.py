"""``logstreamd check-config``: what would run, or every mistake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.configuration import ConfigRefused, config_option, find_config_file

if TYPE_CHECKING:
    from logstreamd.config import Config

__all__ = ["check_config"]


@click.command("check-config")
@config_option
def check_config(config_file: Path | None) -> None:
    """Check the configuration and all that it names: one line of what would run, or every problem.

    A daemon that is told to reload refuses what is refused here, and the settings that take effect only at a restart.
    """
    from logstreamd.config import ConfigError
    from logstreamd.daemon.material import read_material

    try:
        material = read_material(find_config_file(config_file), os.environ)
    except ConfigError as error:
        raise ConfigRefused(error) from None
    for tls in material.tls.values():
        for warning in tls.warnings:
            click.echo(f"warning: {warning}", err=True)
    rules = sum(len(group.rules) for group in material.rules)
    also = _counted(rules, "alert rule") + _counted(len(material.tokens), "token")
    click.echo(f"ok: {material.loaded.file or 'built-in defaults'}: {_would_run(material.config)}{also}")


def _counted(number: int, what: str) -> str:
    """Say how many there are, if there are some."""
    return f", {number} {what}{'' if number == 1 else 's'}" if number else ""


def _would_run(config: Config) -> str:
    """Say in one line what a daemon would listen on and where it would keep what it receives."""
    listeners = [f"{one.type} {one.listen}" for one in config.inputs]
    listeners.append(f"{'http' if config.http.tls is None else 'https'} {config.http.listen}")
    database = "embedded PostgreSQL" if config.database.embedded else config.database.redacted_dsn
    return f"{', '.join(listeners)} -> {database}, state in {config.state_dir}"
