"""Retention rules as they are written: one or several names, from a file or from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from logstreamd.config import Config, ConfigError, load_config
from logstreamd.config.retention import RetentionRule


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "logstreamd.yaml"
    path.write_text(text)
    return load_config(path, {})


def test_a_rule_names_levels_and_services_one_or_several(tmp_path: Path) -> None:
    rules = "[{level: DEBUG, days: 3}, {service: nginx, days: 7}, {level: [warn, info], service: [a, b], days: 1}]"
    assert load(tmp_path, f"retention: {{max_bytes: 10GiB, rules: {rules}}}").retention.rules == (
        RetentionRule.model_construct(days=3, level=("debug",), service=()),
        RetentionRule.model_construct(days=7, level=(), service=("nginx",)),
        RetentionRule.model_construct(days=1, level=("warning", "info"), service=("a", "b")),
    )


def test_rules_may_come_from_the_environment() -> None:
    environment = {
        "LOGSTREAMD_RETENTION__RULES": "[{level: debug, days: 3}]",
        "LOGSTREAMD_RETENTION__MAX_BYTES": "1TiB",
    }
    retention = load_config(None, environment).retention
    assert (retention.max_bytes, [rule.level for rule in retention.rules]) == (1 << 40, [("debug",)])


def test_a_rule_may_be_of_any_age_when_days_are_kept_for_ever(tmp_path: Path) -> None:
    assert (
        load(tmp_path, "retention: {days: null, rules: [{level: debug, days: 3650}]}").retention.rules[0].days == 3650
    )


@pytest.mark.parametrize(
    ("rules", "finding"),
    [
        ("[{level: debug, days: 1}" + ", {level: debug, days: 1}" * 32 + "]", "at most 32"),
        (f"[{{days: 1, service: [{', '.join('abc' for _ in range(257))}]}}]", "at most 256 names"),
        ("[{days: 1, service: ''}]", "must be the name of a service"),
        ("[{level: debug}]", "days"),
    ],
)
def test_what_a_rule_can_not_be_is_refused(tmp_path: Path, rules: str, finding: str) -> None:
    with pytest.raises(ConfigError, match=finding):
        load(tmp_path, f"retention: {{rules: {rules}}}")
