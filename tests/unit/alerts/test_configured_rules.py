from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from logstreamd.alerts.configured_rules import configured_rules, rule_files
from logstreamd.cli import cli
from logstreamd.config import AlertsConfig, ConfigError

RULE = "      - {{alert: {0}, condition: count > 1, over: 1m, notify: [{1}]}}\n"


def write(directory: Path, name: str, notifier: str = "ops") -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(f"groups:\n  - name: {name}\n    rules:\n{RULE.format(name.title(), notifier)}")
    return path


def test_a_pattern_stands_for_files_by_name_a_name_for_itself_and_each_file_is_read_once(tmp_path: Path) -> None:
    b, a = write(tmp_path, "b"), write(tmp_path, "a")
    (tmp_path / ".a.yaml.swp").touch()
    nothing = str(tmp_path / "none" / "*.yaml")
    assert rule_files([str(b), str(tmp_path / "*.yaml"), nothing]) == [b, a]
    assert rule_files([str(tmp_path / "missing.yaml")]) == [tmp_path / "missing.yaml"]


def test_a_home_is_filled_in_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert rule_files(["~/a.yaml", "~nobody-has-this-name/a.yaml"]) == [
        tmp_path / "a.yaml",
        Path("~nobody-has-this-name/a.yaml"),
    ]


def test_rules_may_only_notify_whom_the_configuration_has(tmp_path: Path) -> None:
    path = write(tmp_path, "a", notifier="opps")
    config = AlertsConfig.model_validate({"rules": [str(path)], "notifiers": {"ops": {"type": "log"}}})
    with pytest.raises(ConfigError, match="did you mean 'ops'"):
        configured_rules(config)
    write(tmp_path, "a")
    assert [group.name for group in configured_rules(config)] == ["a"]


def check_config(tmp_path: Path) -> tuple[int, str]:
    config = tmp_path / "logstreamd.yml"
    config.write_text(f"alerts: {{rules: ['{tmp_path}/*.yaml'], notifiers: {{ops: {{type: log}}}}}}")
    result = CliRunner().invoke(cli, ["check-config", "--config", str(config)])
    return result.exit_code, result.output


def test_check_config_counts_the_rules_and_shows_every_mistake_in_their_files(tmp_path: Path) -> None:
    write(tmp_path, "a")
    path = write(tmp_path, "b")
    code, output = check_config(tmp_path)
    assert (code, output.rpartition(", ")[2]) == (0, "2 alert rules\n")

    path.write_text(path.read_text().replace("count >", "cuont >"))
    code, output = check_config(tmp_path)
    assert code == 2
    assert output.startswith(f"{path}:4:31: groups[0].rules[0].condition: ")
