"""The alert rules and objectives about logstreamd itself: complete, tested, and about metrics that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from logstreamd.metrics import Metrics
from tests.acceptance.senders import program

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config" / "prometheus"
ALERTMANAGER = ROOT / "config" / "alertmanager" / "alertmanager.yml"
RUNBOOK = ROOT / "docs" / "operations.md"
RULE_FILES = sorted((CONFIG / "rules").glob("*.yaml"))
RULE_TESTS = sorted((CONFIG / "tests").glob("*.yaml"))


def load(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


RULES = [rule for path in RULE_FILES for group in load(path)["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
EXPRESSIONS = [rule["expr"] for rule in RULES]


def promtool(*arguments: str, directory: Path = CONFIG) -> None:
    command = [program("promtool", "prometheus"), *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def metric_names() -> set[str]:
    """Every series name that the daemon may have."""
    names = set()
    for family in Metrics(version="test", wire="python").registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def test_promtool_takes_the_configuration(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    (tmp_path / "prometheus_token").write_text("lsd_0")  # it has to be there
    text = (CONFIG / "prometheus.yml").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "prometheus.yml").write_text(text)
    promtool("check", "config", "prometheus.yml", directory=tmp_path)


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", *(str(path) for path in RULE_FILES))


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_the_tests_of_the_rules_pass(path: Path) -> None:
    promtool("test", "rules", str(path))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_happened_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Logstreamd")
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_to_fire_and_not_to_fire(name: str) -> None:
    expected = [
        bool(one["exp_alerts"])
        for path in RULE_TESTS
        for test in load(path)["tests"]
        for one in test.get("alert_rule_test", ())
        if one["alertname"] == name
    ]
    assert {True, False} == set(expected)


def test_rules_ask_for_metrics_that_the_daemon_has() -> None:
    asked = {name for text in EXPRESSIONS for name in re.findall(r"(?<![:\w])(?:logstreamd|process)_\w+", text)}
    recorded = {rule.get("record") for rule in RULES}
    assert asked - recorded <= metric_names()


def test_rules_ask_for_labels_that_the_metrics_have() -> None:
    registry = Metrics(version="test", wire="python").registry
    for text in EXPRESSIONS:
        for name, inside in re.findall(r"(logstreamd_\w+)\{(.*?)\}", text):
            labels = {*registry._names_to_collectors[name]._labelnames, "job", "instance", "le"}
            assert set(re.findall(r"(\w+)(?:=|!)", inside)) <= labels, text


def test_rules_ask_for_series_that_are_recorded() -> None:
    asked = {name for text in EXPRESSIONS for name in re.findall(r"\w+:[\w:]+", text)}
    assert asked <= {rule.get("record") for rule in RULES}


def test_reasons_of_losses_are_those_that_the_daemon_counts() -> None:
    from logstreamd.metrics.labels import DROP_REASONS

    asked = {
        reason for text in EXPRESSIONS for match in re.findall(r'reason=~"(.*?)"', text) for reason in match.split("|")
    }
    assert asked <= set(DROP_REASONS)
    # Whatever is new is to be told apart: a loss, a limit that somebody has set, or none of our business.
    assert set(DROP_REASONS) - asked == {"refused", "duplicate"}


def test_amtool_takes_the_configuration() -> None:
    command = [program("amtool", "prometheus-alertmanager"), "check-config", str(ALERTMANAGER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_that_explain_others_exist() -> None:
    text = " ".join(
        matcher
        for rule in load(ALERTMANAGER)["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
    )
    assert set(re.findall(r"Logstreamd\w+", text)) <= set(ALERTS)


@pytest.mark.skipif(not RUNBOOK.exists(), reason="the runbook is not written yet")
@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_has_a_section_for_each_alert(name: str) -> None:
    assert re.search(rf"^#+ {name}$", RUNBOOK.read_text(), re.MULTILINE)
