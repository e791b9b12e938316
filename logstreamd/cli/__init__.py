"""The command line, and the only place that exits: 0 done, 1 failed, 2 bad usage or configuration.

Heavy modules are imported inside the commands that need them: ``--help`` and ``version`` answer at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from logstreamd import __version__

if TYPE_CHECKING:
    from logstreamd.config import Config, ConfigError

__all__ = ["DEFAULT_CONFIG_FILE", "cli", "main"]

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

    if config_file is None and DEFAULT_CONFIG_FILE.exists():
        config_file = DEFAULT_CONFIG_FILE
    try:
        return load_config(config_file, os.environ), config_file
    except ConfigError as error:
        raise ConfigRefused(error) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Receive syslog and JSON logs, store them in PostgreSQL, and answer questions about them."""


@cli.command()
@config_option
def run(config_file: Path | None) -> None:
    """Receive, store and answer until a signal says stop."""
    import uvloop

    from logstreamd.daemon import run_daemon
    from logstreamd.ownlog import configure_log
    from logstreamd.spool import SpoolError
    from logstreamd.storage.errors import StorageError

    config, _ = configuration(config_file)
    configure_log(config.log.level, config.log.format)
    try:
        exit_code = uvloop.run(run_daemon(config))
    except (OSError, StorageError, SpoolError) as problem:
        raise click.ClickException(str(problem)) from problem
    raise SystemExit(exit_code)


@cli.command("check-config")
@config_option
def check_config(config_file: Path | None) -> None:
    """Check the configuration: one line of what would run, or every problem."""
    config, source = configuration(config_file)
    click.echo(f"ok: {source or 'built-in defaults'}: {_would_run(config)}")


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"logstreamd {__version__}")


def main() -> None:
    """Run the command line and exit with its code."""
    cli(prog_name="logstreamd")


def _would_run(config: Config) -> str:
    """Say in one line what a daemon would listen on and where it would keep what it receives."""
    listeners = [f"{one.type} {one.listen}" for one in config.inputs] + [f"http {config.http.listen}"]
    database = "embedded PostgreSQL" if config.database.embedded else config.database.redacted_dsn
    return f"{', '.join(listeners)} -> {database}, state in {config.state_dir}"
