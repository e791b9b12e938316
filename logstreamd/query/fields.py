"""What can be filtered on: the columns, the names in ``attrs`` of recent rows, and the values of any of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from logstreamd.query.counts import CountQuestion, CountReader
from logstreamd.query.filter import Filter
from logstreamd.query.filter.tree import And, Exists, StartsWith
from logstreamd.query.filter.written import write_path
from logstreamd.query.labels import Label
from logstreamd.query.parameters import collect, read_count
from logstreamd.query.scope import SCOPE_ONCE, SCOPE_PARAMETERS, SCOPE_PREFIXES, Scope, read_scope
from logstreamd.query.search import LogReader, Search

__all__ = [
    "Field",
    "FieldReader",
    "FieldValue",
    "FieldValues",
    "Fields",
    "ValuesQuestion",
    "parse_fields",
    "parse_values",
]

Path: TypeAlias = tuple[str, ...]

_COLUMNS = (
    "level", "service", "host", "message", "trace_id", "proc_id", "msg_id", "facility", "input", "format", "peer"
)  # fmt: skip
_SAMPLE_ROWS = 1_000  # looked at for names: as many as one page of logs has at most
_MAX_DEPTH = 4  # of objects in objects: deeper ones are seldom asked for
_MAX_NAMES = 500  # more are no help in a list
_DEFAULT_VALUES = 100
_MAX_VALUES = 1_000
_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """Something that can be filtered on.

    Attributes:
        name: as it is written in a filter.
        types: JSON types of its values.
        rows: how many rows of the sample have it; None for columns.
    """

    name: str
    types: list[str]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """An answer: what can be filtered on.

    Attributes:
        fields: columns first, then names in ``attrs``, the most frequent first.
        sampled_rows: how many rows, the newest ones, were looked at for names.
        took_ms: time in the database and around it.
    """

    fields: list[Field]
    sampled_rows: int
    took_ms: float


@dataclass(frozen=True, slots=True)
class ValuesQuestion:
    """A question for the values of one field.

    Attributes:
        prefix: what they begin with.
        limit: values at most; those with the most rows.
    """

    scope: Scope
    prefix: str = ""
    limit: int = _DEFAULT_VALUES


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One value, and how many rows have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class FieldValues:
    """An answer: values of a field.

    Attributes:
        values: those with the most rows first.
        more: how many others there are.
        source: what was asked: the exact counts, or the rows.
        took_ms: time in the database and around it.
    """

    values: list[FieldValue]
    more: int
    source: Literal["counts", "scan"]
    took_ms: float


def parse_fields(given: Iterable[tuple[str, str]], *, now: datetime) -> Scope:
    """Read the parameters of a question for fields.

    Raises:
        BadParameterError, FilterError: see :func:`~logstreamd.query.scope.read_scope`.
    """
    return read_scope(collect(given, SCOPE_PARAMETERS, once=SCOPE_ONCE, prefixes=SCOPE_PREFIXES), now=now)


def parse_values(given: Iterable[tuple[str, str]], *, now: datetime) -> ValuesQuestion:
    """Read the parameters of a question for values.

    Raises:
        BadParameterError, FilterError: see :func:`~logstreamd.query.scope.read_scope`.
    """
    own = ("prefix", "limit")
    values = collect(given, (*SCOPE_PARAMETERS, *own), once=(*SCOPE_ONCE, *own), prefixes=SCOPE_PREFIXES)
    return ValuesQuestion(
        scope=read_scope(values, now=now),
        prefix=values["prefix"][0] if "prefix" in values else "",
        limit=read_count(values, "limit", default=_DEFAULT_VALUES, at_most=_MAX_VALUES),
    )


class FieldReader:
    """Finds fields and their values.

    Args:
        logs: reads rows.
        counts: counts them.
    """

    def __init__(self, logs: LogReader, counts: CountReader) -> None:
        self._logs = logs
        self._counts = counts

    async def fields(self, scope: Scope) -> Fields:
        """Return what can be filtered on in these rows.

        Raises:
            TooManyQueriesError, QueryTimeoutError, UnavailableError: see :class:`~logstreamd.query.database.Database`.
        """
        page = await self._logs.search(Search(scope, limit=_SAMPLE_ROWS))
        rows: Counter[Path] = Counter()
        types: defaultdict[Path, set[str]] = defaultdict(set)
        for log in page.logs:
            for path, kind in _paths(msgspec.json.decode(log["attrs"])):
                rows[path] += 1
                types[path].add(kind)
        fields = [Field(name, ["string"]) for name in _COLUMNS]
        fields += [Field(_written(path), sorted(types[path]), count) for path, count in rows.most_common(_MAX_NAMES)]
        return Fields(fields, len(page.logs), page.took_ms)

    async def values(self, label: Label, question: ValuesQuestion) -> FieldValues:
        """Return the values of a field in these rows.

        Raises:
            TooManyQueriesError, QueryTimeoutError, UnavailableError: see :class:`~logstreamd.query.database.Database`.
        """
        scope = replace(question.scope, filter=_with_value(question.scope.filter, label, question.prefix))
        counts = await self._counts.count(CountQuestion(scope, by=(label,), limit=question.limit))
        values = [
            FieldValue(value, series.total)
            for series in counts.series
            if (value := series.labels[label.name]) is not None and value.startswith(question.prefix)
        ]
        more = counts.other.series if counts.other else 0
        return FieldValues(values, more, counts.source, counts.took_ms)


def _with_value(tree: Filter, label: Label, prefix: str) -> Filter:
    """Take only rows that have a value; every row has a level."""
    if label.target is None:
        return tree
    has_value = StartsWith(label.target, prefix) if prefix else Exists(label.target)
    terms = (*tree.terms, has_value) if isinstance(tree, And) else (tree, has_value)
    return And(terms) if len(terms) > 1 else has_value


def _paths(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield where the values of a row's attributes are, and of what type."""
    if not isinstance(value, dict):
        yield path, _TYPES[type(value)]
    elif len(path) < _MAX_DEPTH:
        for name, item in value.items():
            yield from _paths(item, (*path, name))


def _written(path: Path) -> str:
    """Write a path as a filter has it; what lies in ``tags`` has a short form."""
    if path[0] == "tags" and len(path) > 1:
        return write_path(path[1:]).replace("attrs", "tag", 1)
    return write_path(path)
