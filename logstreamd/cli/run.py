"""``logstreamd run``: the daemon."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd import faults
from logstreamd.cli.configuration import ConfigRefused, config_option, find_config_file

if TYPE_CHECKING:
    from logstreamd.daemon.material import Material

__all__ = ["run"]


@click.command()
@config_option
def run(config_file: Path | None) -> None:
    """Receive, store and answer until a signal says stop."""
    # One that comes before there is somebody to hear it must not end a daemon that is about to start.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    import uvloop

    from logstreamd.alerts.outbox_file import OutboxError
    from logstreamd.config import ConfigError
    from logstreamd.daemon.material import read_material
    from logstreamd.daemon.run import run_daemon
    from logstreamd.ownlog import configure_log
    from logstreamd.spool import SpoolError
    from logstreamd.storage.errors import StorageError

    _raise_descriptor_limit()
    environ = dict(os.environ)

    def read() -> Material:
        return read_material(find_config_file(config_file), environ)

    try:
        faults.arm(os.environ.get("LOGSTREAMD_FAULT", ""))
    except faults.FaultSpecError as problem:
        raise click.UsageError(str(problem)) from problem
    try:
        material = read()
        log = material.config.log
        exit_code = uvloop.run(run_daemon(material, read, configure_log(log.level, log.format)))
    except ConfigError as error:
        raise ConfigRefused(error) from None
    except (OSError, StorageError, SpoolError, OutboxError) as problem:
        raise click.ClickException(str(problem)) from problem
    raise SystemExit(exit_code)


def _raise_descriptor_limit() -> None:
    """Have as many open files as we may: the usual soft limit of 1,024 is less than an input's ``max_connections``.

    The soft limit is there for programs that use select(2), which can't count further.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # a filter of system calls forbids it: the limit stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
