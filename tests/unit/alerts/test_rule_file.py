"""What a file of rules says, once it is right."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from logstreamd.alerts.condition import Comparison, Count, Ratio
from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.rule_file import load_rules
from logstreamd.config import ConfigError
from logstreamd.query.filter import parse_filter
from logstreamd.query.filter.tree import EVERYTHING

FULL = """
groups:
  - name: web
    interval: 15s
    limit: 7
    labels: {team: web, severity: info}
    rules:
      - alert: Errors
        query: >-
          service:shop
          OR service:blog
        by: [service, attrs.http.method, tag.env]
        condition: ratio(level>=error) > 5% and count >= 20
        over: 10m
        for: 90s
        keep_firing_for: 1h
        labels: {severity: page, where: "{{ $labels.env | toUpper }}"}
        annotations: {summary: "{{ $labels.service }}: {{ $value | humanizePercentage }}"}
        samples: 0
        notify: [ops, log]
  - name: rest
    rules:
      - {alert: Many, condition: count > 10, over: 5m}
"""


def load(tmp_path: Path, text: str, **options: object) -> tuple[RuleGroup, ...]:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return load_rules([path], **options)  # type: ignore[arg-type]


def test_every_word_of_a_rule_arrives(tmp_path: Path) -> None:
    web, _ = load(tmp_path, FULL)
    (rule,) = web.rules
    assert (web.name, web.file, web.interval, web.limit) == (
        "web", str(tmp_path / "rules.yaml"), timedelta(seconds=15), 7,
    )  # fmt: skip
    assert (rule.alert, rule.query) == ("Errors", parse_filter("service:shop OR service:blog"))
    assert [key.label for key in rule.by] == ["service", "http_method", "env"]
    assert rule.condition == Ratio(parse_filter("level>=error"), Comparison(">", 0.05), 20)
    assert (rule.over, rule.for_) == (timedelta(minutes=10), timedelta(seconds=90))
    assert rule.keep_firing_for == timedelta(hours=1)
    assert (rule.samples, rule.notify) == (0, ("ops", "log"))
    assert (rule.interval, rule.limit) == (timedelta(seconds=15), 7)


def test_a_rule_s_labels_are_laid_over_those_of_its_group(tmp_path: Path) -> None:
    web, _ = load(tmp_path, FULL)
    assert web.rules[0].labels_of(("shop", "GET", "prod")) == {
        "alertname": "Errors",
        "service": "shop",
        "http_method": "GET",
        "env": "prod",
        "team": "web",
        "severity": "page",
        "where": "PROD",
    }


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    web, _ = load(tmp_path, FULL)
    assert web.rules[0].labels_of(("shop", "", "")).keys() == {"alertname", "service", "team", "severity"}


def test_what_a_rule_need_not_say_has_defaults(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, FULL)[1].rules
    assert (rule.query, rule.by, rule.condition) == (EVERYTHING, (), Count(Comparison(">", 10)))
    assert (rule.for_, rule.keep_firing_for, rule.samples, rule.notify) == (timedelta(), timedelta(), 3, ())
    assert (rule.interval, rule.limit) == (timedelta(minutes=1), 200)


def test_the_default_interval_is_the_caller_s(tmp_path: Path) -> None:
    web, rest = load(tmp_path, FULL, default_interval=timedelta(seconds=5))
    assert (web.interval, rest.rules[0].interval) == (timedelta(seconds=15), timedelta(seconds=5))


def test_notifiers_are_checked_when_they_are_known(tmp_path: Path) -> None:
    load(tmp_path, FULL, notifiers=["log", "ops"])
    with pytest.raises(ConfigError, match=r"notify\[0\]: no such notifier \(got 'ops'; there are none\)"):
        load(tmp_path, FULL, notifiers=[])


def test_a_file_with_windows_line_ends_is_reported_at_the_same_places(tmp_path: Path) -> None:
    text = FULL.replace("OR service:blog", "OR servce:blog").replace("\n", "\r\n")
    (tmp_path / "rules.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    with pytest.raises(ConfigError, match=r"rules\.yaml:11:14: groups\[0\]\.rules\[0\]\.query: expected a field"):
        load_rules([tmp_path / "rules.yaml"])
