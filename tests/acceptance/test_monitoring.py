"""Prometheus, Alertmanager and Grafana's questions, with the files of config/, on daemons that run."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon_process import PROJECT, DaemonProcess, wait_for
from tests.acceptance.monitoring import free_port, prometheus
from tests.acceptance.native_stack import NativeStack
from tests.acceptance.senders import program

DASHBOARDS = sorted((PROJECT / "config" / "grafana" / "dashboards").glob("*.json"))
OBJECTIVES = {"availability", "latency", "loss"}
OUTAGE = "LogstreamdDatabaseAway"
# Panels that show nothing while all is well, or in the first minutes.
EMPTY_WHEN_WELL = {
    "Who waits for whom",
    "What runs for long",
    "Refused by PostgreSQL",
    "Silences",
    "Firing and pending",
    "Firing",
    "Failed attempts",
    "Time of a delivery, 99 of 100",
}


def questions(kind: str) -> list[Any]:
    """Return what panels ask, as parameters: dashboard and title, question."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            texts = [target[kind] for target in panel.get("targets", ()) if kind in target]
            found += [pytest.param(panel["title"], text, id=f"{path.stem}: {panel['title']}") for text in texts]
    return found


def promql(text: str) -> str:
    """Replace Grafana's variables as Grafana does."""
    variables = {"$__rate_interval": "60s", "$__range": "3600s", "$__interval": "15s", "$instance": ".*"}
    for name, value in variables.items():
        text = text.replace(name, value)
    return text


def sql(text: str) -> str:
    """Replace the macros and variables of Grafana's PostgreSQL data source as Grafana does.

    Source: https://grafana.com/docs/grafana/latest/datasources/postgres/#macros
    """
    start, end = "now() - interval '1 hour'", "now()"
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {start} AND {end}", text)
    text = re.sub(r"\$__timeGroup\((\w+), \$__interval\)", r"floor(extract(epoch from \1)/60)*60", text)
    text = text.replace("$__timeFrom()", f"({start})").replace("$__timeTo()", end)
    return text.replace("${service:sqlstring}", "'payment-service','auth-service','user-service','web-api','access'")


def test_promtool_finds_nothing_to_say_against_the_metrics(daemon: DaemonProcess) -> None:
    command = [program("promtool", "prometheus"), "check", "metrics"]
    done = subprocess.run(command, input=daemon.get("/metrics").body, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_prometheus_scrapes_a_daemon_and_evaluates_every_rule(daemon: DaemonProcess, tmp_path: Path) -> None:
    address = daemon.url.removeprefix("http://")
    addresses = {"logstreamd:8514": address, "web-api-logs:8514": address}
    (tmp_path / "prometheus_token").write_text("not asked for")
    with prometheus(tmp_path, free_port(), addresses, secrets=tmp_path) as server:
        wait_for("the scrape", lambda: server.targets().get(address) == "up")
        wait_for("evaluations", lambda: all(rule["health"] == "ok" for rule in server.rules()))
        assert {one["metric"]["input"] for one in server.query("logstreamd_received_frames_total")} >= {"udp", "tcp"}
        assert server.query("logstreamd_ready")[0]["value"][1] == "1"


@pytest.fixture(scope="module")
def stack() -> Iterator[NativeStack]:
    with tempfile.TemporaryDirectory(prefix="logstreamd-stack-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        stack = NativeStack(directory)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


@pytest.mark.slow
def test_everything_is_scraped(stack: NativeStack) -> None:
    names = ("logstreamd:8514", "web-api-logs:8514", "localhost:9090", "alertmanager:9093")
    expected = {stack.addresses[name]: "up" for name in names}
    wait_for("all targets", lambda: stack.prometheus.targets() == expected)


@pytest.mark.slow
def test_every_recording_rule_has_a_value(stack: NativeStack) -> None:
    records = {rule["name"] for rule in stack.prometheus.rules() if rule["type"] == "recording"}
    for record in records:
        wait_for(record, partial(stack.prometheus.query, record))
    budgets = "logstreamd:slo_budget_left:ratio"
    wait_for("all objectives", lambda: {one["metric"]["slo"] for one in stack.prometheus.query(budgets)} == OBJECTIVES)


@pytest.mark.slow
def test_nothing_fires_while_all_is_well(stack: NativeStack) -> None:
    wait_for("evaluations", lambda: all(rule["health"] == "ok" for rule in stack.prometheus.rules()))
    assert stack.prometheus.firing() == set()


@pytest.mark.slow
def test_the_sidecar_stores_what_the_web_service_writes(stack: NativeStack) -> None:
    files = {"/access.log", "/application.log", "/error.log"}
    statement = "SELECT DISTINCT regexp_replace(attrs->>'file', '.*/', '/') FROM logs WHERE service = 'web-api'"
    with stack.as_grafana() as database:
        wait_for("all files", lambda: {file for (file,) in database.fetch(statement)} == files, seconds=60)


@pytest.mark.slow
def test_alerts_about_logs_reach_alertmanager(stack: NativeStack) -> None:
    wait_for("the alert", lambda: "AnyLine" in stack.alertmanager.active())


@pytest.mark.slow
@pytest.mark.parametrize(("title", "question"), questions("expr"))
def test_prometheus_answers_what_a_panel_asks(stack: NativeStack, title: str, question: str) -> None:
    expression = promql(question)
    assert "$" not in expression
    if title in EMPTY_WHEN_WELL:
        stack.prometheus.query(expression)
    else:
        wait_for(title, lambda: stack.prometheus.query(expression))


@pytest.mark.slow
@pytest.mark.parametrize(("title", "question"), questions("rawSql"))
def test_postgresql_answers_what_a_panel_asks(stack: NativeStack, title: str, question: str) -> None:
    statement = sql(question)
    assert "$" not in statement
    with stack.as_grafana() as database:
        if title in EMPTY_WHEN_WELL:
            database.fetch(statement)
        else:
            wait_for(title, lambda: database.fetch(statement))


@pytest.mark.slow
def test_grafana_may_look_and_nothing_else(stack: NativeStack) -> None:
    with stack.as_grafana() as database:
        for statement in (
            "DELETE FROM logs",
            "SET default_transaction_read_only = off; DELETE FROM logs",
            "CREATE TABLE t ()",
        ):
            with pytest.raises(Exception, match=r"permission denied|read-only"):
                database.execute(statement)


@pytest.mark.slow
def test_an_outage_of_the_database_reaches_alertmanager_and_ends_there(stack: NativeStack) -> None:
    stack.stop_database()
    wait_for("the alert", lambda: OUTAGE in stack.alertmanager.active())
    stack.start_database()
    wait_for("its end", lambda: OUTAGE not in stack.alertmanager.active(), seconds=60)
    wait_for("all stored", lambda: stack.prometheus.query("sum(logstreamd_spooled_frames)")[0]["value"][1] == "0")
    lost = "sum(logstreamd_dropped_frames_total) + sum(abs(logstreamd_ledger_imbalance_frames))"
    assert stack.prometheus.query(lost)[0]["value"][1] == "0"
