"""Counts as a table for people, or as JSON, one object per line."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from logstreamd.cli.terminal import escape

__all__ = ["print_counts"]

_UNLIMITED_CHARS = 100_000


def print_counts(answer: dict[str, Any], *, as_json: bool) -> int:
    """Print an answer of ``/api/v1/counts`` and return the sum.

    Args:
        answer: the answer.
        as_json: ``{"labels": {…}, "total": n}`` for each series, instead of a table.
    """
    series: list[dict[str, Any]] = answer["series"]
    other = answer.get("other")
    total: int = sum(one["total"] for one in series) + (other["total"] if other else 0)
    if as_json:
        for one in series:
            click.echo(json.dumps({"labels": one["labels"], "total": one["total"]}))
        if other:
            click.echo(json.dumps({"labels": None, "total": other["total"], "series": other["series"]}))
    elif series:
        _print_table(series, other, total)
    return total


def _print_table(series: list[dict[str, Any]], other: dict[str, Any] | None, total: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    fields = list(series[0]["labels"])
    table = Table(box=box.SIMPLE_HEAD, show_footer=True)
    for number, name in enumerate(fields):
        table.add_column(Text(escape(name)), footer="all" if number == 0 else "", no_wrap=True)
    table.add_column("rows", f"{total:,}", justify="right", no_wrap=True)
    table.add_column("part", "", justify="right", no_wrap=True)
    for one in series:
        labels = (one["labels"][name] for name in fields)
        cells = [Text("-", "dim") if label is None else Text(escape(label)) for label in labels]
        table.add_row(*cells, f"{one['total']:,}", _part(one["total"], total))
    if other:
        rest = Text(f"{other['series']:,} others", "dim")
        table.add_row(rest, *[""] * (len(fields) - 1), f"{other['total']:,}", _part(other["total"], total))
    # In a pipe there is no width to fit into: nothing is cut.
    Console(highlight=False, width=None if sys.stdout.isatty() else _UNLIMITED_CHARS).print(table)


def _part(rows: int, total: int) -> str:
    return f"{rows / total:.1%}" if total else ""
