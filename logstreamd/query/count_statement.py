"""A question for numbers of rows → one statement and its parameters.

The statement adds up parts: whole minutes from a table of exact counts, everything else from the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from logstreamd.query.filter import Filter, to_sql
from logstreamd.query.filter.tree import And, Column, LevelIs, Not, Or
from logstreamd.query.labels import Label
from logstreamd.query.scope import Scope
from logstreamd.query.steps import MINUTE, Steps, ceil_to, floor_to
from logstreamd.query.templates import fill
from logstreamd.storage.queries import load_queries

__all__ = ["CountsTable", "Statement", "build_statement", "counts_table"]

_SQL = load_queries("counts.sql", package="logstreamd.query")

CountsTable: TypeAlias = Literal["log_counts", "log_totals"]
"""Counts by minute, service and severity; by minute and severity, which is far less to add up."""


class Statement(NamedTuple):
    """SQL and its parameters."""

    text: str
    parameters: list[Any]


class _Part(NamedTuple):
    query: Literal["rows_of_counts", "rows_of_logs", "rows_of_minutes"]
    start: datetime
    end: datetime


def counts_table(tree: Filter, by: Sequence[Label]) -> CountsTable | None:
    """Return the smallest table that knows what a filter and labels ask for; None when only the rows do."""
    asked = [*_terms_of(tree), *by]
    about_service = [_is_service(one) for one in asked]
    if not all(service or _is_level(one) for one, service in zip(asked, about_service, strict=True)):
        return None
    return "log_counts" if any(about_service) else "log_totals"


def _terms_of(tree: Filter) -> Iterator[Filter]:
    """Yield the terms that are not made of others."""
    match tree:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _terms_of(term)
        case Not(term):
            yield from _terms_of(term)
        case _:
            yield tree


def _is_level(asked: Filter | Label) -> bool:
    return isinstance(asked, LevelIs) or (isinstance(asked, Label) and asked.target is None)


def _is_service(asked: Filter | Label) -> bool:
    return getattr(asked, "target", None) == Column("service")


def build_statement(
    scope: Scope, by: Sequence[Label], steps: Steps | None, limit: int, table: CountsTable | None
) -> Statement:
    """Build the statement that counts.

    Args:
        scope: which rows.
        by: the fields whose values make series of their own.
        steps: None counts totals.
        limit: series at most.
        table: what :func:`counts_table` returned, or None to count the rows themselves.
    """
    parameters: list[Any] = [steps and steps.length, steps and steps.first, limit]
    condition, bound = to_sql(scope.filter, len(parameters) + 1)
    parameters += bound
    names = [f"label_{number}" for number in range(1, len(by) + 1)]
    labels = ""
    for label, name in zip(by, names, strict=True):
        expression, bound = label.to_sql(len(parameters) + 1)
        parameters += bound
        labels += f"{expression} AS {name}, "
    keys = "".join(f"{name}, " for name in names)
    counted = []
    minutely = table == "log_totals" and steps is not None and steps.length == MINUTE
    for query, start, end in _parts(scope.start, scope.end, table, minutely):
        parameters += (start, end)
        counted.append(
            fill(
                _SQL[query],
                labels=labels,
                counts=str(table),
                start=f"${len(parameters) - 1}",
                end=f"${len(parameters)}",
                filter=condition,
                keys=keys,
            )
        )
    listed = ", ".join(names)
    text = fill(_SQL["series"], counted="\nUNION ALL\n".join(counted), names=listed, groups=listed or "()")
    return Statement(text, parameters)


def _parts(start: datetime, end: datetime, table: CountsTable | None, minutely: bool) -> Iterator[_Part]:
    first, last = ceil_to(MINUTE, start), floor_to(MINUTE, end)
    if table is None or first > last:
        yield _Part("rows_of_logs", start, end)
        return
    if start < first:
        yield _Part("rows_of_logs", start, first)
    if first < last:
        yield _Part("rows_of_minutes" if minutely else "rows_of_counts", first, last)
    if last < end:
        yield _Part("rows_of_logs", last, end)
