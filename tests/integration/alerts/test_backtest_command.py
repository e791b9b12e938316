"""``logstreamd rules backtest`` on a real database, beside ``rules test`` with the same lines."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result
from stored_lines import store

from logstreamd import cli

BEGIN = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
RULES = """
groups:
  - name: web
    interval: 30s
    rules:
      - {alert: Errors, query: "level>=error", by: [service], condition: count > 5, over: 2m, for: 1m}
      - {alert: Refused, query: "refused", by: [host], condition: rate >= 6/m, over: 1m}
"""
# One line every 10 s from 1m on: 7 of the shop, 7 of a word.
TESTS = """
rule_files: [rules.yaml]
tests:
  - name: the same lines
    interval: 10s
    input_logs:
      - {at: 1m, count: 12, level: error, service: shop, host: web-1, message: boom}
      - {at: 5m, count: 7, level: info, service: shop, host: web-2, message: connection refused}
    alert_rule_test:
      - {eval_time: 150s, alertname: Errors, exp_alerts: []}
      - {eval_time: 3m, alertname: Errors, exp_alerts: [{exp_labels: {service: shop}}]}
      - {eval_time: 4m, alertname: Errors, exp_alerts: [{exp_labels: {service: shop}}]}
      - {eval_time: 270s, alertname: Errors, exp_alerts: []}
      - {eval_time: 330s, alertname: Refused, exp_alerts: []}
      - {eval_time: 6m, alertname: Refused, exp_alerts: [{exp_labels: {host: web-2}}]}
      - {eval_time: 390s, alertname: Refused, exp_alerts: []}
"""


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def shown(seconds: float) -> str:
    return at(seconds).isoformat().replace("+00:00", "Z")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "tests.yaml").write_text(TESTS)
    return tmp_path


def run(database: str, *arguments: str | Path) -> Result:
    """Run the command; it has an event loop of its own, so it is called in a thread."""
    environ = {"LOGSTREAMD_DATABASE__DSN": database, "LOGSTREAMD_CONFIG": ""}
    return CliRunner().invoke(cli.cli, ["rules", *map(str, arguments)], env=environ)


async def store_the_lines_of_the_test(connection: asyncpg.Connection) -> None:
    errors = (f"<11>1 {at(60 + 10 * number).isoformat()} web-1 shop - - - boom" for number in range(12))
    words = (f"<14>1 {at(300 + 10 * number).isoformat()} web-2 shop - - - connection refused" for number in range(7))
    await store(connection, *errors, *words)


async def test_what_a_backtest_says_is_what_the_rules_test_says(
    connection: asyncpg.Connection, database: str, files: Path
) -> None:
    await store_the_lines_of_the_test(connection)
    tested = await asyncio.to_thread(run, database, "test", files / "tests.yaml")
    assert tested.exit_code == 0, tested.output
    period = ("--since", shown(0), "--until", shown(600))
    result = await asyncio.to_thread(run, database, "backtest", files / "rules.yaml", *period, "--json")
    assert result.exit_code == 0, result.output
    assert [json.loads(one) for one in result.stdout.splitlines()] == [
        {
            "alert": "Errors",
            "labels": {"service": "shop"},
            "pending_since": shown(120),
            "fired_at": shown(180),
            "resolved_at": shown(270),
            "peak": 12,
        },
        {
            "alert": "Refused",
            "labels": {"host": "web-2"},
            "pending_since": shown(360),
            "fired_at": shown(360),
            "resolved_at": shown(390),
            "peak": 6,
        },
    ]


async def test_people_get_a_table(connection: asyncpg.Connection, database: str, files: Path) -> None:
    await store_the_lines_of_the_test(connection)
    period = ("--since", shown(0), "--until", shown(380))
    result = await asyncio.to_thread(run, database, "backtest", files / "rules.yaml", *period)
    rows = [line.split("  ") for line in result.stdout.splitlines() if "2026" in line]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["Errors", "service=shop", shown(120), shown(180), shown(270), "12"],
        ["Refused", "host=web-2", shown(360), shown(360), "fires", "6"],
    ]


def test_where_nothing_fires_that_is_said(database: str, files: Path) -> None:
    result = run(database, "backtest", files / "rules.yaml", "--since", "1h")
    assert (result.exit_code, result.stdout) == (0, "no rule would have fired\n")
    assert run(database, "backtest", files / "rules.yaml", "--since", "1h", "--json").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--since", "yesterday"], 2, "--since: must be a time like"),
        (["--since", "1h", "--until", "2h"], 2, "--since must be before --until (got '1h' and '2h')"),
        (["--step", "1"], 2, "--step: must"),
        (["--since", "2000-01-01T00:00:00Z", "--step", "1s"], 2, "is more than 1,000,000: ask for a longer --step"),
        (["--config", "/nowhere/logstreamd.yaml"], 2, "/nowhere/logstreamd.yaml"),
    ],
)
def test_what_can_t_be_used_is_bad_usage(
    database: str, files: Path, arguments: list[str], code: int, said: str
) -> None:
    result = run(database, "backtest", files / "rules.yaml", *arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.output


def test_a_file_of_rules_with_a_mistake_is_bad_usage(database: str, files: Path) -> None:
    (files / "rules.yaml").write_text(RULES.replace("count > 5", "cuont > 5"))
    result = run(database, "backtest", files / "rules.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{files / 'rules.yaml'}:6:")


def test_a_database_that_does_not_answer_is_a_failure(files: Path) -> None:
    result = run("postgresql://nobody@127.0.0.1:1/none", "backtest", files / "rules.yaml")
    assert result.exit_code == 1
    assert "postgresql://nobody@127.0.0.1:1/none" in result.stderr
