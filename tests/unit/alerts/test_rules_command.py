"""``logstreamd rules``: what it prints, and how it exits; and the rules that are shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from logstreamd import cli
from logstreamd.alerts.rule_file import load_rules
from logstreamd.alerts.rule_test_file import load_tests

SHIPPED = Path(__file__).parents[3] / "config" / "alerts"
RULES = """
groups:
  - name: web
    interval: 30s
    rules:
      - alert: Burst
        by: [service]
        condition: count > 2
        over: 1m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.service }}: {{ $value }}"}
"""
TESTS = """
rule_files: [rules.yaml]
tests:
  - name: a burst fires
    input_logs:
      - {at: 0s, every: 10s, count: 3, service: shop}
    alert_rule_test:
      - {eval_time: 29s, alertname: Burst, exp_alerts: []}
      - eval_time: 30s
        alertname: Burst
        exp_alerts: [{exp_labels: {service: shop, severity: page}, exp_annotations: {summary: "shop: 3"}}]
  - name: silence does not
    alert_rule_test:
      - {eval_time: 1h, alertname: Burst}
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.cli, ["rules", *map(str, arguments)])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "tests.yaml").write_text(TESTS)
    return tmp_path


def test_good_rules_are_said_in_one_line_each(directory: Path) -> None:
    result = run("check", directory / "rules.yaml", SHIPPED / "spike.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"ok: {directory / 'rules.yaml'}: 1 group, 1 rule",
        f"ok: {SHIPPED / 'spike.yaml'}: 1 group, 1 rule",
    ]


def test_bad_rules_are_told_with_every_problem_and_the_exit_code_is_1(directory: Path) -> None:
    file = directory / "bad.yaml"
    file.write_text("groups:\n  - {name: web, interval: 5, rules: [{alert: A, over: 5m, condition: count}]}\n")
    result = run("check", file, directory / "none.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{file}:2:27: groups[0].interval: needs a unit: ms, s, m, h or d (got 5)",
        f"{file}:2:75: groups[0].rules[0].condition: expected a comparison, such as > 10 (got end)",
        f"{directory / 'none.yaml'}: cannot be read: No such file or directory",
    ]


def test_tests_that_pass_are_said_in_one_line(directory: Path) -> None:
    result = run("test", directory / "tests.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"ok: {directory / 'tests.yaml'}: 2 of 2 tests passed\n"


def test_a_test_that_fails_shows_what_was_expected_and_what_came(directory: Path) -> None:
    file = directory / "tests.yaml"
    file.write_text(TESTS.replace('"shop: 3"', '"shop: 4"').replace("{eval_time: 29s", "{eval_time: 59s"))
    result = run("test", file)
    assert result.exit_code == 1
    labels = "{alertname='Burst', service='shop', severity='page'}"
    assert result.stdout.splitlines() == [
        f"{file}:8:9: a burst fires: Burst at 59s",
        "  expected:",
        "    nothing",
        "  got:",
        f"    {labels}",
        f"{file}:9:9: a burst fires: Burst at 30s",
        "  expected:",
        f"    {labels} {{summary='shop: 4'}}",
        "  got:",
        f"    {labels} {{summary='shop: 3'}}",
        f"FAILED: {file}: 1 of 2 tests passed",
    ]


@pytest.mark.parametrize(
    ("written", "instead"),
    [("service: shop, severity", "service: blog, severity"), (", severity: page}, exp", "}, exp")],
)
def test_other_labels_are_another_alert(directory: Path, written: str, instead: str) -> None:
    file = directory / "tests.yaml"
    file.write_text(TESTS.replace(written, instead))
    assert run("test", file).exit_code == 1


def test_annotations_that_are_not_expected_are_not_compared(directory: Path) -> None:
    file = directory / "tests.yaml"
    file.write_text(TESTS.replace(', exp_annotations: {summary: "shop: 3"}', ""))
    assert run("test", file).exit_code == 0


def test_groups_without_an_interval_have_that_of_the_test(directory: Path) -> None:
    (directory / "rules.yaml").write_text(RULES.replace("    interval: 30s\n", ""))
    assert run("test", directory / "tests.yaml").exit_code == 1
    (directory / "tests.yaml").write_text("evaluation_interval: 15s\n" + TESTS)
    assert run("test", directory / "tests.yaml").exit_code == 0


def test_tests_that_can_not_be_used_exit_with_2_and_the_others_run(directory: Path) -> None:
    bad = directory / "bad.yaml"
    bad.write_text("rule_files: [none.yaml]\ntests: 5\n")
    result = run("test", bad, directory / "tests.yaml")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{bad}:2:8: tests: must be a list (got 5)",
        f"{directory / 'none.yaml'}: cannot be read: No such file or directory",
    ]
    assert result.stdout == f"ok: {directory / 'tests.yaml'}: 2 of 2 tests passed\n"


@pytest.mark.parametrize("arguments", [["check"], ["test"], ["chekc", "x"]])
def test_bad_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


SHIPPED_TESTS = sorted((SHIPPED / "tests").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED_TESTS, ids=lambda path: path.stem)
def test_the_shipped_rules_pass_their_tests(path: Path) -> None:
    result = run("test", path)
    assert (result.exit_code, result.stdout.splitlines()[:-1]) == (0, [])


def test_the_shipped_rules_can_be_used_together_and_each_has_a_test_that_fires() -> None:
    rules = {rule.alert for group in load_rules(sorted(SHIPPED.glob("*.yaml"))) for rule in group.rules}
    expectations = [one for path in SHIPPED_TESTS for test in load_tests(path) for one in test.expectations]
    assert {one.rule.alert for one in expectations if one.alerts} == rules
    assert {one.rule.alert for one in expectations if not one.alerts} == rules


def test_the_examples_of_the_documentation_do_what_it_says(tmp_path: Path) -> None:
    page = (SHIPPED.parents[1] / "docs" / "alerts.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    rules, tests = (next(one for one in blocks if f"\n{key}:" in f"\n{one}") for key in ("groups", "rule_files"))
    (tmp_path / "errors.yaml").write_text(rules)
    (tmp_path / "errors.test.yaml").write_text(tests)
    assert run("check", tmp_path / "errors.yaml").stdout == f"ok: {tmp_path / 'errors.yaml'}: 1 group, 1 rule\n"
    assert run("test", tmp_path / "errors.test.yaml").exit_code == 0
