"""The command line, and the only place that exits: 0 done, 1 failed, 2 bad usage or configuration.

Heavy modules are imported inside the commands that need them, so that ``--help`` and ``version`` answer at once.
"""

from __future__ import annotations

import click

from logstreamd import __version__
from logstreamd.cli.check_config import check_config
from logstreamd.cli.database import db
from logstreamd.cli.query import query
from logstreamd.cli.rules import rules
from logstreamd.cli.run import run
from logstreamd.cli.spool import spool
from logstreamd.cli.tail import tail
from logstreamd.cli.token import token

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Receive syslog and JSON logs, store them in PostgreSQL, and answer questions about them."""


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"logstreamd {__version__}")


for _command in (run, query, tail, check_config, db, rules, spool, token):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit with its code."""
    cli(prog_name="logstreamd")
