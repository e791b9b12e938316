"""``logstreamd check-config``: what would run, or every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.configuration import ConfigRefused, config_option, configuration

if TYPE_CHECKING:
    from logstreamd.config import Config

__all__ = ["check_config"]


@click.command("check-config")
@config_option
def check_config(config_file: Path | None) -> None:
    """Check the configuration and its alert rules: one line of what would run, or every problem."""
    from logstreamd.alerts.configured_rules import configured_rules
    from logstreamd.config import ConfigError

    config, source = configuration(config_file)
    try:
        groups = configured_rules(config.alerts)
    except ConfigError as error:
        raise ConfigRefused(error) from None
    rules = sum(len(group.rules) for group in groups)
    alerts = f", {rules} alert rules" if rules else ""
    click.echo(f"ok: {source or 'built-in defaults'}: {_would_run(config)}{alerts}")


def _would_run(config: Config) -> str:
    """Say in one line what a daemon would listen on and where it would keep what it receives."""
    listeners = [f"{one.type} {one.listen}" for one in config.inputs] + [f"http {config.http.listen}"]
    database = "embedded PostgreSQL" if config.database.embedded else config.database.redacted_dsn
    return f"{', '.join(listeners)} -> {database}, state in {config.state_dir}"
