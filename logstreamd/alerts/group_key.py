"""What lines are grouped by: ``service``, ``host``, ``level``, ``attrs.KEY`` or ``tag.KEY`` → a label of the alert."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logstreamd.config.problems import did_you_mean, shown
from logstreamd.query.filter.attributes import value_at
from logstreamd.query.filter.fields import FIELD, find_target
from logstreamd.query.filter.tree import (
    Attribute,
    Column,
    Equals,
    Exists,
    Filter,
    LevelIs,
    Not,
    Or,
    StartsWith,
)
from logstreamd.record import LEVELS, Severity
from logstreamd.wire.attribute_text import scalar_text

__all__ = ["GROUP_VALUE_MAX_CHARS", "GroupKey", "read_group_key"]

GROUP_VALUE_MAX_CHARS = 256
"""Identifies a host, a service or a user; what is longer is text, and would be repeated in every message."""

_PLAIN_KEYS = ("service", "host", "level")
_KEYS = "service, host, level, attrs.KEY or tag.KEY"
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One key of ``by``.

    Attributes:
        name: as it is written: ``attrs.user-id``.
        label: the alert's label: ``user_id``.
        target: where the value lies; None is the level.
    """

    name: str
    label: str
    target: Column | Attribute | None

    def value_in(self, row: Mapping[str, Any]) -> str:
        """Return a row's value as text, at most :data:`GROUP_VALUE_MAX_CHARS` of it.

        It is empty where there is none, and where it is an object or an array.
        """
        match self.target:
            case None:
                text: str | None = LEVELS[int(row["severity"])]
            case Column(name):
                text = row[name]
            case Attribute(path):
                text = scalar_text(value_at(row["attrs"], path))
        return (text or "")[:GROUP_VALUE_MAX_CHARS]

    def lines_with(self, value: str) -> Filter:
        """Return the filter of the lines that have this value; of those that have none, where it is empty."""
        if self.target is None:
            return LevelIs("=", Severity[value.upper()])
        if not value:
            return Or((Not(Exists(self.target)), Equals(self.target, "")))
        if len(value) == GROUP_VALUE_MAX_CHARS:
            return StartsWith(self.target, value)
        return Equals(self.target, value)


def read_group_key(written: object) -> GroupKey:
    """Read one key of ``by``.

    Raises:
        ValueError: lines can't be grouped by it.
    """
    if not isinstance(written, str) or not _is_field(written):
        raise ValueError(f"must be {_KEYS} (got {shown(written)})")
    if written == "level":
        return GroupKey(written, written, None)
    target = find_target(written)
    if isinstance(target, Attribute):
        path = target.path[1:] if written.startswith("tag.") else target.path
        return GroupKey(written, _label("_".join(path)), target)
    if target is None or written not in _PLAIN_KEYS:
        raise ValueError(f"lines can't be grouped by {shown(written)}{_meant(written)}")
    return GroupKey(written, written, target)


def _is_field(text: str) -> bool:
    found = FIELD.fullmatch(f"{text}:")
    return found is not None and found[1] == text


def _label(name: str) -> str:
    """Return the name as Prometheus allows it; one with two underscores in front is reserved there."""
    label = _NOT_IN_LABELS.sub("_", name)
    if label.startswith("__"):
        label = label.lstrip("_") or "_"
    return f"_{label}" if label[0].isdigit() else label


def _meant(name: str) -> str:
    if name in ("attrs", "tag"):
        return f": write {name}.NAME"
    if find_target(name) is not None:
        return f", only by {_KEYS}"
    return f" (did you mean {did_you_mean(name, _PLAIN_KEYS) or f'attrs.{name}'}?)"
