"""The configuration a command works with: the option that names it, and how a refusal is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from logstreamd.config import Config, ConfigError

__all__ = ["DEFAULT_CONFIG_FILE", "ConfigRefused", "config_option", "configuration", "find_config_file"]

DEFAULT_CONFIG_FILE = Path("/etc/logstreamd/logstreamd.yaml")
"""Read when neither ``--config`` nor ``$LOGSTREAMD_CONFIG`` names a file, if it exists."""

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar="LOGSTREAMD_CONFIG",
    metavar="FILE",
    help=f"YAML file. Default: $LOGSTREAMD_CONFIG, else {DEFAULT_CONFIG_FILE} if it exists, else none.",
)


class ConfigRefused(click.ClickException):
    """The configuration cannot be used: every problem on a line of its own, exit code 2."""

    exit_code = 2

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the problems as they are: editors look for ``file:line:column`` at the start of a line."""
        click.echo(self.message, file=file, err=file is None)


def find_config_file(config_file: Path | None) -> Path | None:
    """Return the file to read: the one that was named, else the usual one if it exists, else none.

    Args:
        config_file: the value of ``--config``.
    """
    return DEFAULT_CONFIG_FILE if config_file is None and DEFAULT_CONFIG_FILE.exists() else config_file


def configuration(config_file: Path | None) -> tuple[Config, Path | None]:
    """Read the configuration that a command was given, or the usual one.

    Args:
        config_file: the value of ``--config``.

    Returns:
        The configuration, and the file it comes from (None: built-in defaults).

    Raises:
        ConfigRefused: it cannot be used.
    """
    from logstreamd.config import ConfigError, load_config

    config_file = find_config_file(config_file)
    try:
        return load_config(config_file, os.environ), config_file
    except ConfigError as error:
        raise ConfigRefused(error) from None
