"""Files of tests → tests, or every mistake in them; shaped like those of Prometheus' ``promtool test rules``.

::

    rule_files: [errors.yaml]             # beside this file
    evaluation_interval: 1m               # of groups that say none
    tests:
      - name: a burst fires
        interval: 10s                     # between the lines of an entry that says no 'every'
        input_logs:
          - {at: 0s, every: 10s, count: 30, level: error, service: checkout, host: web1, message: boom}
        alert_rule_test:
          - eval_time: 5m
            alertname: ErrorBurst
            exp_alerts:
              - exp_labels: {service: checkout, severity: page}
                exp_annotations: {summary: "checkout: 30 errors"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from logstreamd.alerts.rule import ALERT_NAME_LABEL, Rule, RuleGroup
from logstreamd.alerts.rule_file import DEFAULT_INTERVAL, load_rules
from logstreamd.alerts.rule_tests import BEGIN, Expectation, ExpectedAlert, RuleTest
from logstreamd.alerts.rule_values import read_name, timedelta_reader
from logstreamd.alerts.yaml_node import Fields, Node, YamlFile, read_text_value
from logstreamd.config.problems import ConfigError, Problem, did_you_mean, shown
from logstreamd.config.units import Duration, WholeNumber
from logstreamd.record import LEVELS, Facility, Severity, severity_from_name

__all__ = ["MAX_EVALUATIONS", "MAX_LINES", "load_tests"]

MAX_LINES = 100_000
"""Of one test: a second of matching; more is a benchmark."""
MAX_EVALUATIONS = 10_000
"""Of one rule in one test: a week at every minute."""

_DAY_SECONDS = 86_400
_AT = Duration(0, 31 * _DAY_SECONDS, bare=False)
_EVERY = Duration(0.001, 31 * _DAY_SECONDS, bare=False)
_COUNT = WholeNumber(0, MAX_LINES)
_MOST = 1_000  # tests in a file, entries and expectations in a test; a file of the largest size holds hardly more

_FILE_KEYS = ("rule_files", "evaluation_interval", "tests")
_TEST_KEYS = ("name", "interval", "input_logs", "alert_rule_test")
_LINE_KEYS = ("at", "every", "count", "level", "service", "host", "message", "trace_id", "attrs", "tags")
_EXPECTATION_KEYS = ("eval_time", "alertname", "exp_alerts")
_ALERT_KEYS = ("exp_labels", "exp_annotations")
_HINTS = {
    "groups": "this is a file of rules: name it in rule_files",
    "input_series": "write input_logs",
    "promql_expr_test": "there is no PromQL here",
    "group_eval_order": "groups do not see each other's results",
}


def load_tests(path: Path) -> tuple[RuleTest, ...]:
    """Read a file of tests, and the rules they are about.

    Raises:
        ConfigError: it, or a file of rules that it names, can't be used. Every problem is in it.
    """
    file = YamlFile(path)
    fields = Fields({}) if file.root is None else file.root.fields(_FILE_KEYS, required=_FILE_KEYS[::2], hints=_HINTS)
    interval = fields.read_or("evaluation_interval", timedelta_reader(_EVERY), DEFAULT_INTERVAL)
    names = [node.read(read_text_value) for node in fields.elements("rule_files", _MOST)]
    problems: list[Problem] = []
    groups: tuple[RuleGroup, ...] = ()
    try:
        groups = load_rules([path.parent / name for name in names if name is not None], default_interval=interval)
    except ConfigError as error:
        problems += error.problems
    reader = _TestReader({rule.alert: rule for group in groups for rule in group.rules}, known=not problems)
    tests = tuple(reader.read(node) for node in fields.elements("tests", _MOST))
    if file.problems or problems:
        raise ConfigError([*file.problems, *problems])
    return tests


@dataclass(frozen=True, slots=True)
class _TestReader:
    """Reads tests of rules; ``known`` says whether the rules are."""

    rules: Mapping[str, Rule]
    known: bool

    def read(self, node: Node) -> RuleTest:
        fields = node.fields(_TEST_KEYS, required=("name", "alert_rule_test"), hints=_HINTS)
        interval = fields.read_or("interval", timedelta_reader(_EVERY), DEFAULT_INTERVAL)
        rows: list[Mapping[str, Any]] = []
        for entry in fields.elements("input_logs", _MOST):
            rows += _rows(entry, interval)
            if len(rows) > MAX_LINES:
                entry.refuse(f"a test may have at most {MAX_LINES} lines")
                break
        expectations = (self._expectation(one) for one in fields.elements("alert_rule_test", _MOST))
        name = fields.read("name", read_name) or ""
        return RuleTest(name, tuple(rows), tuple(one for one in expectations if one is not None))

    def _expectation(self, node: Node) -> Expectation | None:
        fields = node.fields(_EXPECTATION_KEYS, required=("eval_time", "alertname"))
        at = fields.read("eval_time", timedelta_reader(_AT))
        rule = fields.read("alertname", self._rule)
        alerts = [_alert(one, rule) for one in fields.elements("exp_alerts", _MOST)]
        if at is None or rule is None:
            return None
        if at / rule.interval > MAX_EVALUATIONS:
            fields.nodes["eval_time"].refuse(f"is more than {MAX_EVALUATIONS} evaluations away")
        return Expectation(at, rule, tuple(alerts), node.place)

    def _rule(self, value: object) -> Rule | None:
        name = read_text_value(value)
        if self.known and name not in self.rules:
            near = did_you_mean(name, self.rules)
            raise ValueError(f"no such alert (got {shown(name)}{f'; did you mean {shown(near)}?' if near else ''})")
        return self.rules.get(name)


def _alert(node: Node, rule: Rule | None) -> ExpectedAlert:
    fields = node.fields(_ALERT_KEYS)
    labels = _texts(fields, "exp_labels")
    annotations = _texts(fields, "exp_annotations") if "exp_annotations" in fields.nodes else None
    return ExpectedAlert({ALERT_NAME_LABEL: rule.alert if rule else "", **labels}, annotations)


def _texts(fields: Fields, key: str) -> dict[str, str]:
    read = {name: node.read(read_text_value) for name, node in fields.entries(key).items()}
    return {name: text for name, text in read.items() if text is not None}


def _rows(node: Node, interval: timedelta) -> list[Mapping[str, Any]]:
    """Return the lines of one entry, with all columns of ``logs``."""
    fields = node.fields(_LINE_KEYS)
    at = fields.read_or("at", timedelta_reader(_AT), timedelta())
    every = fields.read_or("every", timedelta_reader(_EVERY), interval)
    count = fields.read("count", _COUNT.read)
    attrs = _plain(fields, "attrs")
    if tags := _plain(fields, "tags"):
        attrs["tags"] = tags
    line = {
        "severity": fields.read_or("level", _read_level, Severity.INFO),
        "facility": Facility.USER,
        **{name: fields.read(name, read_text_value) for name in ("host", "service", "trace_id")},
        **dict.fromkeys(("proc_id", "msg_id", "peer")),
        "message": fields.read_or("message", read_text_value, ""),
        "attrs": attrs or None,
        "input": "test",
        "format": "json",
    }
    times = (BEGIN + at + every * number for number in range(1 if count is None else count))
    return [{**line, "ts": ts, "received_at": ts} for ts in times]


def _plain(fields: Fields, key: str) -> dict[str, object]:
    return {name: node.value for name, node in fields.entries(key).items()}


def _read_level(value: object) -> Severity:
    severity = severity_from_name(value) if isinstance(value, str) else None
    if severity is None:
        near = did_you_mean(value, LEVELS) if isinstance(value, str) else None
        hint = f"; did you mean '{near}'?" if near else ""
        raise ValueError(f"must be one of {', '.join(LEVELS)} (got {shown(value)}{hint})")
    return severity
