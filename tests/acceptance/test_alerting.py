"""From a line on a socket to a message about it: rules that run inside the daemon, and what a crash does to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGHUP, SIGKILL
from typing import Any

import pytest

from tests.acceptance.conftest import StartDaemon
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.senders import send_stream
from tests.acceptance.webhook_server import WebhookServer

INTERVAL = timedelta(seconds=1)
DELAY = timedelta(seconds=1)
OVER = timedelta(seconds=4)
RULES = """
groups:
  - name: acceptance
    interval: 1s
    rules:
      - alert: Refused
        query: level>=error refused
        by: [service]
        condition: count >= 3
        over: 4s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.service }}: {{ $value }} refused"}
"""


@pytest.fixture
def receiver() -> Iterator[WebhookServer]:
    with WebhookServer() as receiver:
        yield receiver


@pytest.fixture
def alerting(tmp_path: Path, receiver: WebhookServer) -> dict[str, Any]:
    """The section of a configuration with one rule and one notifier."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    ops = {"type": "webhook", "url": receiver.url, "allow_private": True, "group_wait": "0s", "group_interval": "1s"}
    ops |= {"max_messages_per_minute": 60}
    return {"rules": [str(rules)], "evaluation_delay": "1s", "notifiers": {"ops": ops}}


def send_errors(daemon: DaemonProcess, service: str, count: int = 3) -> datetime:
    """Send errors now; return their time."""
    at = datetime.now(UTC)
    line = f"<11>1 {at.isoformat()} web-1 {service} 7 - - payment refused number={{}}\n"
    send_stream(daemon.address("tcp"), [line.format(number).encode() for number in range(count)])
    return at


def events_of(daemon: DaemonProcess, **filters: str) -> list[dict[str, Any]]:
    answer = daemon.get("/api/v1/alerts/history", {"order": "asc", **filters})
    assert answer.status == 200, answer
    return list(answer.json()["events"])


def services(alerts: list[dict[str, Any]]) -> list[str]:
    return [alert["labels"]["service"] for alert in alerts]


def alerts_of(daemon: DaemonProcess) -> list[dict[str, Any]]:
    return list(daemon.get("/api/v1/alerts").json()["alerts"])


def metric(daemon: DaemonProcess, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", daemon.get("/metrics").body.decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_an_alert_fires_once_with_its_lines_at_the_computed_instant_resolves_and_is_history(
    make_daemon: StartDaemon, receiver: WebhookServer, alerting: dict[str, Any]
) -> None:
    daemon = make_daemon(settings={"alerts": alerting}).start()
    sent_at = send_errors(daemon, "checkout")
    (resolved,) = wait_for("the resolution", lambda: receiver.alerts("resolved"))
    (fired,) = receiver.alerts("firing")

    assert fired["labels"] == {"alertname": "Refused", "service": "checkout", "severity": "page"}
    assert fired["annotations"]["summary"] == "checkout: 3 refused"
    assert [line["message"] for line in fired["samples"]] == [f"payment refused number={n}" for n in (2, 1, 0)]
    assert resolved["fingerprint"] == fired["fingerprint"]
    # The window [now - over, now) lies one delay in the past: the first evaluation that sees the lines, and the first
    # that sees them no more.
    starts_at, ends_at = (datetime.fromisoformat(resolved[name]) for name in ("startsAt", "endsAt"))
    assert timedelta() <= starts_at - (sent_at + DELAY) <= 2 * INTERVAL
    assert timedelta() <= ends_at - (sent_at + DELAY + OVER) <= 2 * INTERVAL

    events = events_of(daemon)
    assert [(one["before"], one["after"]) for one in events] == [("inactive", "firing"), ("firing", "resolved")]
    assert [len(one["samples"]) for one in events] == [3, 0]
    assert {one["fingerprint"] for one in events} == {fired["fingerprint"]}
    assert metric(daemon, 'logstreamd_alert_evaluations_total{outcome="failed"}') == 0
    assert metric(daemon, 'logstreamd_alert_evaluations_total{outcome="ok"}') > 0
    assert metric(daemon, "logstreamd_alert_leader") == 1
    assert daemon.status()["alerts"]["role"] == "evaluates"
    daemon.stop()


@pytest.mark.parametrize(
    "fault", ["alerts.evaluated:1:kill", "alerts.recorded:1:kill", "alerts.queued:1:kill", "alerts.delivered:1:kill"]
)
def test_a_kill_around_the_transition_loses_no_alert(
    make_daemon: StartDaemon, receiver: WebhookServer, alerting: dict[str, Any], fault: str
) -> None:
    daemon = make_daemon(settings={"alerts": alerting}, environment={"LOGSTREAMD_FAULT": fault})
    daemon.start()
    send_errors(daemon, "checkout")
    assert daemon.wait_exit() == -SIGKILL

    daemon.environment = {}
    daemon.start()
    (resolved,) = wait_for("the resolution", lambda: receiver.alerts("resolved"))
    fired = receiver.alerts("firing")
    assert len(fired) == (2 if fault.startswith("alerts.delivered") else 1)
    assert {one["fingerprint"] for one in fired} == {resolved["fingerprint"]}
    assert {one["startsAt"] for one in fired} == {resolved["startsAt"]}
    assert all(len(one["samples"]) == 3 for one in fired)
    assert [one["after"] for one in events_of(daemon)] == ["firing", "resolved"]
    daemon.stop()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("alerts.recorded:1:kill", id="in the middle of for"),
        pytest.param("alerts.queued:1:kill", id="with an untold alert in its outbox", marks=pytest.mark.slow),
    ],
)
def test_when_the_leader_is_killed_the_other_daemon_tells_the_alert_and_nobody_tells_it_twice(
    make_daemon: StartDaemon,
    make_database: Callable[[], str],
    receiver: WebhookServer,
    alerting: dict[str, Any],
    tmp_path: Path,
    fault: str,
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.replace("over: 4s", "over: 10m\n        for: 2s"))
    dsn = make_database()
    first = make_daemon(dsn=dsn, settings={"alerts": alerting}, environment={"LOGSTREAMD_FAULT": fault}).start()
    wait_for("the first to lead", lambda: first.status()["alerts"]["role"] == "evaluates")
    second = make_daemon(dsn=dsn, settings={"alerts": alerting}).start()
    wait_for("the second to stand by", lambda: second.status()["alerts"]["role"] == "stands by")
    send_errors(first, "checkout")
    assert first.wait_exit() == -SIGKILL

    (told,) = wait_for("the alert", lambda: receiver.alerts("firing"))
    assert second.status()["alerts"]["role"] == "evaluates"
    pending, firing = events_of(second)
    assert (pending["after"], firing["after"]) == ("pending", "firing")
    fired_at = datetime.fromisoformat(firing["starts_at"])
    assert fired_at == datetime.fromisoformat(told["startsAt"])
    assert fired_at - datetime.fromisoformat(pending["at"]) >= 2 * INTERVAL
    assert firing["active_at"] == pending["active_at"]

    first.environment = {}
    first.start()
    wait_for("the first to stand by", lambda: first.status()["alerts"]["role"] == "stands by")
    wait_for("its outbox", lambda: first.status()["alerts"]["notifiers"]["ops"]["waiting"] == 0)
    assert len(receiver.alerts("firing")) == 1
    for daemon in (first, second):
        daemon.stop()


def silence(daemon: DaemonProcess, service: str) -> str:
    wanted = {"matchers": [{"name": "service", "value": service}], "author": "ann", "comment": "deploying"}
    body = json.dumps({**wanted, "ends_at": "+1h"}).encode()
    made = daemon.post("/api/v1/silences", body, {"Content-Type": "application/json"})
    assert made.status == 201, made
    return str(made.json()["id"])


def test_a_silenced_alert_is_shown_and_told_when_the_silence_is_ended_and_not_by_whoever_still_waited(
    make_daemon: StartDaemon, receiver: WebhookServer, alerting: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.replace("over: 4s", "over: 10m"))
    alerting["notifiers"]["later"] = {**alerting["notifiers"]["ops"], "group_wait": "1h"}
    daemon = make_daemon(settings={"alerts": alerting}).start()
    quiet = silence(daemon, "quiet")
    assert daemon.status()["alerts"]["silences"] == 1

    for service in ("quiet", "loud"):
        send_errors(daemon, service)
    wait_for("the other alert", lambda: receiver.alerts("firing"))
    alerts = wait_for("both alerts", lambda: found if len(found := alerts_of(daemon)) == 2 else [])
    assert {one["labels"]["service"]: one["silenced_by"] for one in alerts} == {"quiet": [quiet], "loud": []}
    assert services(receiver.alerts("firing")) == ["loud"]

    assert daemon.delete(f"/api/v1/silences/{quiet}").status == 204
    wait_for("the silenced alert", lambda: "quiet" in services(receiver.alerts("firing")))
    silence(daemon, "loud")
    daemon.stop()  # tells what waits
    (message,) = (one for one in receiver.messages if one["receiver"] == "later")
    assert services(message["alerts"]) == ["quiet"]


def test_alerts_of_a_rule_that_is_removed_resolve_with_the_reason(
    make_daemon: StartDaemon, receiver: WebhookServer, alerting: dict[str, Any], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("over: 4s", "over: 10m"))
    daemon = make_daemon(settings={"alerts": alerting}).start()
    send_errors(daemon, "checkout")
    wait_for("the alert", lambda: receiver.alerts("firing"))

    rules.write_text("groups: []")
    daemon.signal(SIGHUP)
    (resolved,) = wait_for("the resolution", lambda: receiver.alerts("resolved"))
    assert resolved["annotations"]["reason"] == "the rule was removed"
    assert [(one["after"], one["reason"]) for one in events_of(daemon)] == [
        ("firing", None),
        ("resolved", "the rule was removed"),
    ]
    assert alerts_of(daemon) == []
    daemon.stop()


def test_a_mistake_in_a_file_of_rules_refuses_the_start_at_its_place(
    make_daemon: StartDaemon, alerting: dict[str, Any], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("condition: count >= 3", "condition: count => 3"))
    daemon = make_daemon(settings={"alerts": alerting})
    daemon.launch()
    assert daemon.wait_exit() == 2
    assert f"{rules}:9:26: groups[0].rules[0].condition: expected >" in daemon.output
