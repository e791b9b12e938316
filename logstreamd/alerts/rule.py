"""A rule and its group, checked and ready to be evaluated; the words are those of Prometheus' rule files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from logstreamd.alerts.condition import Condition
from logstreamd.alerts.group_key import GroupKey
from logstreamd.alerts.template import Template
from logstreamd.query.filter import Filter
from logstreamd.query.filter.tree import EVERYTHING

__all__ = ["ALERT_NAME_LABEL", "DEFAULT_LIMIT", "DEFAULT_SAMPLES", "Rule", "RuleGroup"]

ALERT_NAME_LABEL = "alertname"
DEFAULT_SAMPLES = 3
DEFAULT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """When to tell whom what.

    Attributes:
        alert: its name, the only one of it in all files.
        query: which lines.
        by: each combination of these keys' values is judged by itself and has an alert of its own.
        condition: what must hold.
        over: the length of the window that is measured.
        for_: how long the condition must hold before the alert fires.
        keep_firing_for: how long the alert goes on firing when the condition holds no more.
        labels: what identifies its alerts beside ``by``; those of the group are among them.
        annotations: what is said about an alert.
        samples: how many log lines to attach.
        notify: the notifiers that are told; empty: all of them.
        interval: how often it is evaluated.
        limit: how many alerts it may have at a time, pending ones included.
    """

    alert: str
    condition: Condition
    over: timedelta
    query: Filter = EVERYTHING
    by: tuple[GroupKey, ...] = ()
    for_: timedelta = timedelta()
    keep_firing_for: timedelta = timedelta()
    labels: Mapping[str, Template] = field(default_factory=dict)
    annotations: Mapping[str, Template] = field(default_factory=dict)
    samples: int = DEFAULT_SAMPLES
    notify: tuple[str, ...] = ()
    interval: timedelta = timedelta(minutes=1)
    limit: int = DEFAULT_LIMIT

    def labels_of(self, group: tuple[str, ...]) -> dict[str, str]:
        """Return the labels of a group's alert; an empty label is none, as in Prometheus."""
        grouped = {key.label: value for key, value in zip(self.by, group, strict=True)}
        own = {name: template.fill(grouped) for name, template in self.labels.items()}
        labels = {ALERT_NAME_LABEL: self.alert, **grouped, **own}
        return {name: value for name, value in labels.items() if value}

    def annotations_of(self, labels: Mapping[str, str], value: float) -> dict[str, str]:
        """Return what is said about an alert that has these labels and this value."""
        return {name: template.fill(labels, value) for name, template in self.annotations.items()}


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules of one file that belong together.

    Attributes:
        name: the only one of it in all files.
        file: where it was written.
        interval: how often its rules are evaluated.
        limit: how many alerts each of its rules may have at a time.
    """

    name: str
    file: str
    interval: timedelta
    limit: int
    rules: tuple[Rule, ...]
