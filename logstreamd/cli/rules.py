"""``logstreamd rules``: what a file of rules would do, before it wakes anyone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.backtest import backtest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logstreamd.alerts.rule_tests import Failure
    from logstreamd.config import ConfigError

__all__ = ["rules"]

_files = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")


@click.group()
def rules() -> None:
    """Check and test alert rules."""


rules.add_command(backtest)


@rules.command()
@_files
def check(files: tuple[Path, ...]) -> None:
    """Check files of rules.

    Exit code 0 when all of them can be used, 1 with every problem as FILE:LINE:COLUMN when one can't.
    """
    from logstreamd.alerts.rule_file import load_rules
    from logstreamd.config import ConfigError

    try:
        groups = load_rules(files)
    except ConfigError as error:
        _show_problems(error)
        raise click.exceptions.Exit(1) from None
    for file in files:
        of_file = [group for group in groups if group.file == str(file)]
        rule_count = sum(len(group.rules) for group in of_file)
        click.echo(f"ok: {file}: {_count(len(of_file), 'group')}, {_count(rule_count, 'rule')}")


@rules.command()
@_files
def test(files: tuple[Path, ...]) -> None:
    """Run files of tests.

    Exit code 0 when all tests passed, 1 when one failed, 2 with every problem when a file can't be used.
    """
    from logstreamd.alerts.rule_test_file import load_tests
    from logstreamd.alerts.rule_tests import run_test
    from logstreamd.config import ConfigError

    codes = {0}
    for file in files:
        try:
            tests = load_tests(file)
        except ConfigError as error:
            _show_problems(error)
            codes.add(2)
            continue
        results = [run_test(one) for one in tests]
        for failure in (failure for failures in results for failure in failures):
            click.echo("\n".join(_failure_lines(failure)))
        failed = sum(map(bool, results))
        click.echo(f"{'FAILED' if failed else 'ok'}: {file}: {len(tests) - failed} of {len(tests)} tests passed")
        codes.add(1 if failed else 0)
    raise click.exceptions.Exit(max(codes))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _show_problems(error: ConfigError) -> None:
    """Print the problems as they are: editors look for ``file:line:column`` at the start of a line."""
    click.echo(str(error), err=True)


def _failure_lines(failure: Failure) -> Iterator[str]:
    from logstreamd.config import duration_text

    expected, place = failure.expectation, failure.expectation.place
    at = duration_text(expected.at.total_seconds())
    yield f"{place.file}:{place.line}:{place.column}: {failure.test}: {expected.rule.alert} at {at}"
    yield "  expected:"
    yield from _alert_lines((one.labels, one.annotations) for one in expected.alerts)
    yield "  got:"
    compares = any(one.annotations is not None for one in expected.alerts)
    yield from _alert_lines((one.labels, one.annotations if compares else None) for one in failure.got)


def _alert_lines(alerts: Iterable[tuple[Mapping[str, str], Mapping[str, str] | None]]) -> Iterator[str]:
    lines = sorted(
        f"    {_pairs(labels)}" + ("" if annotations is None else f" {_pairs(annotations)}")
        for labels, annotations in alerts
    )
    yield from lines or ["    nothing"]


def _pairs(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={value!r}" for name, value in sorted(values.items())) + "}"
