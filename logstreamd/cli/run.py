"""``logstreamd run``: the daemon."""

from __future__ import annotations

import os
from pathlib import Path

import click

from logstreamd import faults
from logstreamd.cli.configuration import ConfigRefused, config_option, configuration

__all__ = ["run"]


@click.command()
@config_option
def run(config_file: Path | None) -> None:
    """Receive, store and answer until a signal says stop."""
    import uvloop

    from logstreamd.alerts.notify.build import NotifierError
    from logstreamd.alerts.outbox_file import OutboxError
    from logstreamd.config import ConfigError
    from logstreamd.daemon import run_daemon
    from logstreamd.ownlog import configure_log
    from logstreamd.spool import SpoolError
    from logstreamd.storage.errors import StorageError

    config, _ = configuration(config_file)
    try:
        faults.arm(os.environ.get("LOGSTREAMD_FAULT", ""))
    except faults.FaultSpecError as problem:
        raise click.UsageError(str(problem)) from problem
    own_log = configure_log(config.log.level, config.log.format)
    try:
        exit_code = uvloop.run(run_daemon(config, own_log))
    except ConfigError as error:
        raise ConfigRefused(error) from None
    except (OSError, StorageError, SpoolError, NotifierError, OutboxError) as problem:
        raise click.ClickException(str(problem)) from problem
    raise SystemExit(exit_code)
