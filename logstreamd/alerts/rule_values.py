"""The values of rule files that are more than one word: names, keys of ``by``, templates of labels and annotations."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import timedelta

from logstreamd.alerts.group_key import GroupKey, read_group_key
from logstreamd.alerts.rule import ALERT_NAME_LABEL
from logstreamd.alerts.template import Template, read_template
from logstreamd.alerts.yaml_node import Fields, Node, read_text_value
from logstreamd.config.problems import shown
from logstreamd.config.units import Duration

__all__ = ["read_keys", "read_name", "read_templates", "timedelta_reader"]

_NAME_MAX_CHARS = 128  # it stands in every message, and in metrics
_MOST_KEYS = 5  # each multiplies the groups
_MOST_TEMPLATES = 32  # of labels or annotations; commonly the limit of Prometheus' labels

# Prometheus' data model, "Metric names and labels".
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NOT_IN_LABEL_NAMES = re.compile(r"[^a-zA-Z0-9_]")

_NO_VALUE = "a label identifies its alert and must not change with the value: put $value into an annotation"


def read_name(value: object) -> str:
    """Return the name of an alert or a group; raise ValueError when it is none."""
    name = read_text_value(value)
    if not name.strip() or not name.isprintable() or len(name) > _NAME_MAX_CHARS:
        raise ValueError(f"must be a name of 1..{_NAME_MAX_CHARS} characters (got {shown(name)})")
    return name


def timedelta_reader(duration: Duration) -> Callable[[object], timedelta]:
    """Return what reads a duration within bounds."""
    return lambda value: timedelta(seconds=duration.read(value))


def read_keys(fields: Fields, field: str, taken: Collection[str]) -> tuple[GroupKey, ...]:
    """Return what lines are grouped by; ``taken`` are labels that the alerts have already."""
    keys: list[GroupKey] = []
    for node in fields.elements(field, _MOST_KEYS):
        key = node.read(read_group_key)
        if key is None:
            continue
        same = next((one.name for one in keys if one.label == key.label), None)
        if same is not None:
            node.refuse(f"makes the same label as {same}: '{key.label}'" if same != key.name else "is there twice")
        elif key.label in (*taken, ALERT_NAME_LABEL):
            node.refuse(f"makes the label '{key.label}', which the alert has already")
        else:
            keys.append(key)
    return tuple(keys)


def read_templates(fields: Fields, field: str, known: Collection[str], *, identify: bool) -> dict[str, Template]:
    """Return labels or annotations.

    Args:
        fields: of the rule or group.
        field: which of them.
        known: the labels that templates may use.
        identify: whether they are labels: then those known are taken, and the value must stay out of them.
    """
    found: dict[str, Template] = {}
    entries = fields.entries(field)
    if len(entries) > _MOST_TEMPLATES:
        fields.nodes[field].refuse(f"must have at most {_MOST_TEMPLATES} keys (got {len(entries)})")
    for name, node in entries.items():
        _check_name(name, node, known if identify else ())
        template = node.read(_template_reader(known, _NO_VALUE if identify else None))
        if template is not None:
            found[name] = template
    return found


def _check_name(name: str, node: Node, taken: Collection[str]) -> None:
    if _LABEL_NAME.fullmatch(name) is None:
        meant = _NOT_IN_LABEL_NAMES.sub("_", name)
        hint = f"; did you mean '{meant}'?" if _LABEL_NAME.fullmatch(meant) else ""
        node.refuse_key(f"a name has a-z A-Z 0-9 _ and no digit first (got {shown(name)}{hint})")
    elif name.startswith("__"):
        node.refuse_key("names that begin with __ are reserved")
    elif name == ALERT_NAME_LABEL:
        node.refuse_key("is the name of the rule: write alert")
    elif name in taken:
        node.refuse_key("is a label that 'by' makes already")


def _template_reader(known: Collection[str], no_value: str | None) -> Callable[[object], Template]:
    return lambda value: read_template(read_text_value(value), known, no_value)
