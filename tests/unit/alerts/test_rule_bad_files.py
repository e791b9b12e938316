"""Each file in ``bad/`` and ``bad_tests/`` is one mistake; its ``# expect:`` lines are what it must be reported as."""

from __future__ import annotations

from pathlib import Path

import pytest

from logstreamd.alerts.rule_file import load_rules
from logstreamd.alerts.rule_test_file import MAX_LINES, load_tests
from logstreamd.config import ConfigError

HERE = Path(__file__).parent
BAD_RULES = sorted((HERE / "bad").glob("*.yaml"))
BAD_TESTS = sorted(set((HERE / "bad_tests").glob("*.yaml")) - {HERE / "bad_tests" / "rules.yaml"})


def expected(path: Path) -> list[str]:
    """Return the problems that a file names; those of other files begin with their names."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("# expect: ")]
    assert lines, "a bad file says what it expects"
    found = [line.removeprefix("# expect: ").replace("FILE", str(path)) for line in lines]
    return [f"{path.parent}/{one[6:]}" if one.startswith("OTHER ") else f"{path}:{one}" for one in found]


@pytest.mark.parametrize("path", BAD_RULES, ids=lambda path: path.stem)
def test_the_mistake_in_rules_is_reported_at_its_place(path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_rules([path], notifiers=["ops", "log"])
    assert [str(problem) for problem in refusal.value.problems] == expected(path)


@pytest.mark.parametrize("path", BAD_TESTS, ids=lambda path: path.stem)
def test_the_mistake_in_tests_is_reported_at_its_place(path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_tests(path)
    assert [str(problem) for problem in refusal.value.problems] == expected(path)


def test_the_problems_of_all_files_are_reported_in_their_order(tmp_path: Path) -> None:
    missing, twice = tmp_path / "none.yaml", tmp_path / "twice.yaml"
    good = "groups:\n  - name: web\n    rules:\n      - {alert: A, condition: count > 1, over: 5m}\n"
    twice.write_text(good)
    (tmp_path / "first.yaml").write_text(good)
    with pytest.raises(ConfigError) as refusal:
        load_rules([tmp_path / "first.yaml", missing, twice])
    assert [str(problem) for problem in refusal.value.problems] == [
        f"{missing}: cannot be read: No such file or directory",
        f"{twice}:2:11: groups[0].name: duplicate name 'web' (first at {tmp_path / 'first.yaml'}:2)",
        f"{twice}:4:17: groups[0].rules[0].alert: duplicate name 'A' (first at {tmp_path / 'first.yaml'}:4)",
    ]


def test_as_many_lines_as_a_test_may_have_are_read(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    rules = HERE / "bad_tests" / "rules.yaml"
    lines = f"{{count: {MAX_LINES - 1}, every: 1ms}}, {{count: 1}}"
    path.write_text(f"rule_files: [{rules}]\ntests: [{{name: t, input_logs: [{lines}], alert_rule_test: []}}]\n")
    assert len(load_tests(path)[0].rows) == MAX_LINES
