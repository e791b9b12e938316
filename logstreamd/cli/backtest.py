"""``logstreamd rules backtest``: when would rules have fired on what is stored?"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from logstreamd.cli.asking import moment
from logstreamd.cli.configuration import config_option, configuration

if TYPE_CHECKING:
    import asyncpg

    from logstreamd.alerts.backtest import Backtest, Firing
    from logstreamd.alerts.rule import Rule

__all__ = ["backtest"]

_CLEAR_LINE = "\r\x1b[K"
_DAY_SECONDS = 86_400
_PEAK_DIGITS = 4  # of a share: a hundredth of a percent
_PIPE_WIDTH = 100_000  # the table takes what it needs: a few thousand characters at most


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--since", metavar="TIME", default="7d", show_default=True, help="First evaluation: 1h, 7d, or a time.")
@click.option("--until", metavar="TIME", default="now", show_default=True, help="Last evaluation.")
@click.option("--step", metavar="DURATION", help="Evaluate so often. Default: the interval of each rule's group.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line instead of a table.")
@config_option
def backtest(
    files: tuple[Path, ...], *, since: str, until: str, step: str | None, as_json: bool, config_file: Path | None
) -> None:
    """Show when rules would have fired on what is stored.

    Rules are evaluated as `run` evaluates them, at whole multiples of their interval, on the lines by their own time:
    as if none had come late. Nothing is written, and nobody is told.

    Exit code 0 whether or not a rule would have fired, 1 when the database does not answer or a rule asks for too much,
    2 when a file or an option can't be used.
    """
    from logstreamd.alerts.backtest import MAX_EVALUATIONS, Backtest
    from logstreamd.cli.database import with_database

    rules = _load(files)
    now = datetime.now(UTC)
    start, end = _time(since, "--since", now), _time(until, "--until", now)
    if start >= end:
        raise click.UsageError(f"--since must be before --until (got {since!r} and {until!r})")
    step_length = None if step is None else _duration(step)
    config, _ = configuration(config_file)
    found: list[Firing] = []

    async def work(connection: asyncpg.Connection) -> None:
        # Each execution has other times, and so other partitions.
        await connection.execute("SET plan_cache_mode = force_custom_plan")

        @asynccontextmanager
        async def reading() -> AsyncIterator[asyncpg.Connection]:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection

        one = Backtest(reading, since=start, until=end, step=step_length)
        for rule in rules:
            if one.evaluations(rule) > MAX_EVALUATIONS:
                times = f"{one.evaluations(rule):,} times, which is more than {MAX_EVALUATIONS:,}"
                raise click.UsageError(f"{rule.alert} would be evaluated {times}: ask for a longer --step")
        found.extend(await _run(one, rules))

    with_database(config, work)
    found.sort(key=lambda firing: (firing.fired_at, firing.alert, sorted(firing.labels.items())))
    if as_json:
        for firing in found:
            click.echo(json.dumps(_plain(firing), ensure_ascii=False))
    else:
        _print_table(found)


def _load(files: Iterable[Path]) -> list[Rule]:
    from logstreamd.alerts.rule_file import load_rules
    from logstreamd.cli.configuration import ConfigRefused
    from logstreamd.config import ConfigError

    try:
        return [rule for group in load_rules(files) for rule in group.rules]
    except ConfigError as error:
        raise ConfigRefused(error) from None


def _time(text: str, option: str, now: datetime) -> datetime:
    from logstreamd.query.errors import BadParameterError
    from logstreamd.query.times import parse_time

    try:
        return parse_time(moment(text), option, now)
    except BadParameterError as error:
        raise click.UsageError(str(error)) from None


def _duration(text: str) -> timedelta:
    from logstreamd.config.units import Duration

    try:
        return timedelta(seconds=Duration(1, _DAY_SECONDS, bare=False).read(text))
    except ValueError as error:
        raise click.UsageError(f"--step: {error}") from None


async def _run(one: Backtest, rules: list[Rule]) -> list[Firing]:
    from logstreamd.alerts.measure import MeasureError

    found: list[Firing] = []
    for number, rule in enumerate(rules, 1):
        try:
            found += await one.run(rule, _progress(f"{rule.alert} ({number} of {len(rules)})"))
        except MeasureError as error:
            raise click.ClickException(f"{rule.alert}: {error}") from error
        finally:
            if sys.stderr.isatty():
                click.echo(_CLEAR_LINE, err=True, nl=False)
    return found


def _progress(what: str) -> Callable[[float], None]:
    """Return what shows on standard error how far it is, if that is a terminal."""

    def show(part: float) -> None:
        if sys.stderr.isatty():
            click.echo(f"{_CLEAR_LINE}{what} … {part:.0%} (Ctrl-C ends it)", err=True, nl=False)

    return show


def _plain(firing: Firing) -> dict[str, Any]:
    return {
        "alert": firing.alert,
        "labels": firing.labels,
        "pending_since": _stamp(firing.pending_since),
        "fired_at": _stamp(firing.fired_at),
        "resolved_at": None if firing.resolved_at is None else _stamp(firing.resolved_at),
        "peak": firing.peak,
    }


def _stamp(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _print_table(found: list[Firing]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from logstreamd.alerts.condition import number_text
    from logstreamd.cli.terminal import escape

    if not found:
        click.echo("no rule would have fired")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("alert", "labels", "pending since", "fired at", "resolved at"):
        table.add_column(name, overflow="fold")
    table.add_column("peak", justify="right", no_wrap=True)
    for firing in found:
        resolved = "fires" if firing.resolved_at is None else _stamp(firing.resolved_at)
        labels = ", ".join(f"{name}={value}" for name, value in sorted(firing.labels.items()))
        times = (_stamp(firing.pending_since), _stamp(firing.fired_at), resolved)
        table.add_row(
            *(
                Text(escape(cell))
                for cell in (firing.alert, labels, *times, number_text(round(firing.peak, _PEAK_DIGITS)))
            )
        )
    console = Console(highlight=False)
    if not console.is_terminal:  # in a pipe there is no width to fit into: nothing is cut
        console = Console(highlight=False, width=_PIPE_WIDTH)
    console.print(table)
