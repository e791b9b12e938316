"""A question for numbers of rows → one statement and its parameters.

The statement adds up parts: whole minutes from a table of exact counts, everything else from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeAlias

from logstreamd.query.filter import Filter, to_sql
from logstreamd.query.filter.tree import And, Column, LevelIs, Not, Or
from logstreamd.query.labels import Label
from logstreamd.query.ranges import Range, day_bounds
from logstreamd.query.scope import Scope
from logstreamd.query.steps import MINUTE, Steps, ceil_to, floor_to
from logstreamd.query.templates import fill
from logstreamd.storage.queries import load_queries

__all__ = ["CountsTable", "Statement", "counts_table", "sum_counts", "sum_rows"]

_SQL = load_queries("counts.sql", package="logstreamd.query")

CountsTable: TypeAlias = Literal["log_counts", "log_totals"]
"""Counts by minute, service and severity; by minute and severity, which is far less to add up."""


class Statement(NamedTuple):
    """SQL and its parameters."""

    text: str
    parameters: list[Any]


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


def sum_counts(scope: Scope, by: Sequence[Label], steps: Steps | None, limit: int, table: CountsTable) -> Statement:
    """Build the statement that adds up counts.

    Args:
        scope: which rows.
        by: the fields whose values make series of their own.
        steps: in whole minutes; None counts totals.
        limit: series at most.
        table: what :func:`counts_table` returned.
    """
    builder = _Builder(scope.filter, by, steps, limit)
    first, last = ceil_to(MINUTE, scope.start), floor_to(MINUTE, scope.end)
    if first > last:  # within one minute
        builder.add_rows(scope.start, scope.end)
        return builder.build()
    if scope.start < first:
        builder.add_rows(scope.start, first)
    if first < last:
        single = table == "log_totals" and steps is not None and steps.length == MINUTE
        builder.add("rows_of_minutes" if single else "rows_of_counts", first, last, counts=table)
    if last < scope.end:
        builder.add_rows(last, scope.end)
    return builder.build()


def sum_rows(
    scope: Scope, by: Sequence[Label], steps: Steps | None, limit: int, ranges: Iterable[Range] | None
) -> Statement:
    """Build the statement that counts rows one by one.

    Args:
        scope: which rows.
        by: the fields whose values make series of their own.
        steps: None counts totals.
        limit: series at most.
        ranges: where all of these rows lie, in the order of days; None: anywhere.
    """
    builder = _Builder(scope.filter, by, steps, limit)
    if ranges is None:
        builder.add_rows(scope.start, scope.end)
        return builder.build()
    for day, ranges_of_day in groupby(ranges, key=lambda one: one.day):
        begin, end = day_bounds(day)
        builder.add_rows(max(scope.start, begin), min(scope.end, end), ranges_of_day)
    return builder.build()


class _Builder:
    """Collects the parts of one statement and their parameters."""

    def __init__(self, tree: Filter, by: Sequence[Label], steps: Steps | None, limit: int) -> None:
        self._parameters: list[Any] = [steps and steps.length, steps and steps.first, limit]
        self._condition, bound = to_sql(tree, len(self._parameters) + 1)
        self._parameters += bound
        self._names = [f"label_{number}" for number in range(1, len(by) + 1)]
        self._labels = [label.to_sql(self._bind) for label in by]
        self._parts: list[str] = []

    def _bind(self, value: Any) -> str:
        self._parameters.append(value)
        return f"${len(self._parameters)}"

    def add_rows(self, start: datetime, end: datetime, ranges: Iterable[Range] = ()) -> None:
        """Count rows of a time range, only those in the ranges of ids if there are any."""
        ids = [fill(_SQL["ids"], first=self._bind(one.first_id), last=self._bind(one.last_id)) for one in ranges]
        self.add("rows_of_logs", start, end, ids=" OR ".join(ids) or "true")

    def add(
        self,
        query: Literal["rows_of_counts", "rows_of_logs", "rows_of_minutes"],
        start: datetime,
        end: datetime,
        **holes: str,
    ) -> None:
        """Count what a query finds in a time range."""
        labels = zip(self._labels, self._names, strict=True)
        self._parts.append(
            fill(
                _SQL[query],
                labels="".join(f"{expression} AS {name}, " for expression, name in labels),
                keys="".join(f"{name}, " for name in self._names),
                start=self._bind(start),
                end=self._bind(end),
                filter=self._condition,
                **holes,
            )
        )

    def build(self) -> Statement:
        """Return the statement that adds up the parts; those of nothing count nothing."""
        names = ", ".join(self._names)
        counted = "\nUNION ALL\n".join(self._parts)
        return Statement(fill(_SQL["series"], counted=counted, names=names, groups=names or "()"), self._parameters)
