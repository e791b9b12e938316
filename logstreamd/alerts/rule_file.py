"""Files of rules → groups of rules, or every mistake in all of them.

::

    groups:
      - name: web                       # the only one of this name in all files
        interval: 1m                    # how often its rules are evaluated
        limit: 200                      # alerts of one rule at a time
        labels: {team: web}             # of all its alerts
        rules:
          - alert: ErrorBurst           # the only one of this name in all files
            query: level>=error         # the filter language
            by: [service]
            condition: count > 10
            over: 5m
            for: 1m
            keep_firing_for: 10m
            labels: {severity: page}
            annotations: {summary: "{{ $labels.service }}: {{ $value }} errors"}
            samples: 3
            notify: [ops]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from logstreamd.alerts.condition import Absent, Condition, Spike
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.rule import ALERT_NAME_LABEL, DEFAULT_LIMIT, DEFAULT_SAMPLES, Rule, RuleGroup
from logstreamd.alerts.rule_values import read_keys, read_name, read_templates, timedelta_reader
from logstreamd.alerts.template import Template
from logstreamd.alerts.yaml_node import Fields, Node, YamlFile, read_text_value
from logstreamd.config.problems import ConfigError, Place, did_you_mean, shown
from logstreamd.config.units import Duration, WholeNumber, duration_text
from logstreamd.query.filter import Filter, parse_filter
from logstreamd.query.filter.tree import EVERYTHING

__all__ = ["DEFAULT_INTERVAL", "load_rules"]

DEFAULT_INTERVAL = timedelta(minutes=1)
"""Prometheus' default."""

_SECOND = timedelta(seconds=1)
_DAY_SECONDS = 86_400
# Upper bound: what is asked less than daily is a report.
_INTERVAL = Duration(1, _DAY_SECONDS, bare=False)
_OVER = Duration(1, 31 * _DAY_SECONDS, bare=False)
# A month, as long as lines are kept by default.
_LONGEST_LOOK = timedelta(days=31)
# Upper bound: nobody waits longer than a week for an alert.
_FOR = Duration(0, 7 * _DAY_SECONDS, bare=False)
# Upper bound: more than anyone reads, and each is kept and told again.
_LIMIT = WholeNumber(1, 10_000)
# Upper bound: a message is read on a telephone.
_SAMPLES = WholeNumber(0, 20)
_MOST_NOTIFIERS = 16  # as many as there can be
_MOST_RULES = 10_000  # more than fit into a file of the largest size

_GROUP_KEYS = ("name", "interval", "limit", "labels", "rules")
_RULE_KEYS = (
    "alert", "query", "by", "condition", "over", "for", "keep_firing_for", "labels", "annotations", "samples", "notify",
)  # fmt: skip
_FILE_HINTS = dict.fromkeys(("rule_files", "tests"), "this is a file of tests: logstreamd rules test")
_HINTS = {
    "expr": "write query: which lines, and condition: what must hold of them",
    "record": "there are no recording rules: lines are counted as they are stored",
    "severity": "write labels: {severity: …}",
    "summary": "write annotations: {summary: …}",
    "description": "write annotations: {description: …}",
}


def load_rules(
    paths: Iterable[Path], *, notifiers: Collection[str] | None = None, default_interval: timedelta = DEFAULT_INTERVAL
) -> tuple[RuleGroup, ...]:
    """Read files of rules.

    Args:
        paths: the files.
        notifiers: the names that ``notify`` may have; None: any.
        default_interval: of groups that say none.

    Returns:
        The groups of all files, in the order in which they were written.

    Raises:
        ConfigError: at least one of them can't be used. Every problem of all of them is in it.
    """
    reader = _RuleReader(notifiers, default_interval)
    files = [YamlFile(path) for path in paths]
    groups = [group for file in files for group in reader.read(file)]
    problems = [problem for file in files for problem in file.problems]
    if problems:
        raise ConfigError(problems)
    return tuple(groups)


@dataclass(slots=True)
class _RuleReader:
    """Reads one file after the other, and remembers which names are taken."""

    notifiers: Collection[str] | None
    default_interval: timedelta
    group_places: dict[str, Place] = field(default_factory=dict)
    alert_places: dict[str, Place] = field(default_factory=dict)

    def read(self, file: YamlFile) -> list[RuleGroup]:
        if file.root is None:
            return []
        fields = file.root.fields(("groups",), required=("groups",), hints=_FILE_HINTS)
        groups = [self._group(node) for node in fields.elements("groups", _MOST_RULES)]
        return [group for group in groups if group is not None]

    def _group(self, node: Node) -> RuleGroup | None:
        fields = node.fields(_GROUP_KEYS, required=("name", "rules"))
        name = _read_new_name(fields, "name", self.group_places)
        interval = fields.read_or("interval", _read_interval, self.default_interval)
        limit = fields.read("limit", _LIMIT.read) or DEFAULT_LIMIT
        labels = read_templates(fields, "labels", known=(), identify=True)
        read = [self._rule(one, labels) for one in fields.elements("rules", _MOST_RULES)]
        rules = tuple(replace(rule, interval=interval, limit=limit) for rule in read if rule is not None)
        return None if name is None else RuleGroup(name, str(node.file.path), interval, limit, rules)

    def _rule(self, node: Node, group_labels: Mapping[str, Template]) -> Rule | None:
        """Return a rule with the interval and the limit of any group."""
        fields = node.fields(_RULE_KEYS, required=("alert", "condition", "over"), hints=_HINTS)
        alert = _read_new_name(fields, "alert", self.alert_places)
        by = read_keys(fields, "by", taken=group_labels)
        grouped = {key.label for key in by}
        labels = {**group_labels, **read_templates(fields, "labels", known=grouped, identify=True)}
        over = fields.read("over", timedelta_reader(_OVER))
        condition = fields.read("condition", lambda written: _read_condition(written, over))
        query = fields.read("query", _read_query)
        for_ = fields.read_or("for", timedelta_reader(_FOR), timedelta())
        keep_firing_for = fields.read_or("keep_firing_for", timedelta_reader(_FOR), timedelta())
        annotations = read_templates(fields, "annotations", known={ALERT_NAME_LABEL, *grouped, *labels}, identify=False)
        samples = fields.read("samples", _SAMPLES.read)
        notify = self._notifiers(fields)
        if alert is None or condition is None or over is None:
            return None
        return Rule(
            alert, condition, over, query or EVERYTHING, by, for_, keep_firing_for, labels, annotations,
            DEFAULT_SAMPLES if samples is None else samples, notify,
        )  # fmt: skip

    def _notifiers(self, fields: Fields) -> tuple[str, ...]:
        read = [node.read(self._notifier) for node in fields.elements("notify", _MOST_NOTIFIERS)]
        return tuple(name for name in read if name is not None)

    def _notifier(self, value: object) -> str:
        name = read_text_value(value)
        if self.notifiers is not None and name not in self.notifiers:
            near = did_you_mean(name, self.notifiers)
            hint = f"; did you mean '{near}'?" if near else f"; there are {', '.join(self.notifiers) or 'none'}"
            raise ValueError(f"no such notifier (got {shown(name)}{hint})")
        return name


def _read_new_name(fields: Fields, key: str, places: dict[str, Place]) -> str | None:
    """Return a name that no other rule, or group, has; ``places`` are those of the others."""
    name = fields.read(key, read_name)
    if name is None:
        return None
    node = fields.nodes[key]
    first = places.setdefault(name, node.place)
    if first != node.place:
        node.refuse(f"duplicate name {shown(name)} (first at {first.file}:{first.line})")
    return name


def _read_interval(value: object) -> timedelta:
    """Return how often to evaluate: whole seconds, for evaluations are made at whole seconds."""
    interval = timedelta_reader(_INTERVAL)(value)
    if interval % _SECOND:
        raise ValueError(f"must be whole seconds (got {shown(value)})")
    return interval


def _read_query(value: object) -> Filter:
    return parse_filter(read_text_value(value))


def _read_condition(value: object, over: timedelta | None) -> Condition:
    """Return the condition; raise ValueError when it is none, or none that can be asked over this window."""
    condition = read_condition(read_text_value(value))
    match condition:
        case Absent(lookback) if over is not None and lookback <= over:
            spans = f"{_text(lookback)} and {_text(over)}"
            raise ValueError(f"lookback must be longer than over (got {spans})")
        case Spike(windows=windows) if over is not None and (windows + 1) * over > _LONGEST_LOOK:
            looks = f"{windows} windows of {_text(over)}"
            raise ValueError(f"looks back further than {_text(_LONGEST_LOOK)} (got {looks})")
    return condition


def _text(span: timedelta) -> str:
    return duration_text(span.total_seconds())
