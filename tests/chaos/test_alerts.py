"""T43: a flood of alerts, and receivers that are down, slow, broken or hostile: lines come in as if there were none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon_process import wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import send_stream
from tests.chaos.checker import assert_good, check, stored_stamps
from tests.chaos.conftest import MakeDaemon
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.receivers import MEGABYTES, Receivers
from tests.chaos.senders import send_datagrams, send_tcp

MOST_WAITING = 1_000  # of one notifier, see docs/alerts.md
ALERTS = MOST_WAITING + 200
LINES = 2_000  # of each sender
RULES = f"""
groups:
  - name: flood
    interval: 1s
    limit: {ALERTS}
    rules:
      - {{alert: Flood, query: "service:/^flood-/", by: [service], condition: count >= 1, over: 10m, samples: 1}}
"""


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with Receivers() as receivers:
        yield receivers


def notifiers(receivers: Receivers) -> dict[str, Any]:
    """Return the notifiers of a configuration, by the name of what is wrong with their receivers."""
    usual = {"type": "webhook", "group_wait": "0s", "group_interval": "1s", "timeout_seconds": 1}
    usual |= {"max_messages_per_minute": 60, "max_alerts": 1_000, "connect_timeout_seconds": 1}
    paths = ("good", "flaky", "hang", "redirect", "elsewhere", "megabytes")
    found = {path: {**usual, "url": receivers.url(path), "allow_private": True} for path in paths}
    found["down"] = {**usual, "url": "http://127.0.0.1:1/hook", "allow_private": True}
    found["inside"] = {**usual, "url": "https://169.254.169.254/latest/meta-data/"}
    return found


def counted(daemon: ChaosDaemon, notifier: str) -> int:
    """Return how many alerts were given up, and counted."""
    return sum(
        daemon.metric("dropped_alerts_total", notifier=notifier, reason=reason)
        for reason in ("queue_full", "expired", "rejected")
    )


def test_a_flood_for_receivers_that_misbehave_is_bounded_counted_and_in_nobodys_way(
    make_daemon: MakeDaemon,
    open_database: Callable[[], Database],
    receivers: Receivers,
    run: str,
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    alerts = {"rules": [str(rules)], "evaluation_delay": "1s", "notifiers": notifiers(receivers)}
    daemon = make_daemon(alerts=alerts)
    daemon.start()

    flood = [f"<14>1 - h flood-{number} - - - one line\n".encode() for number in range(ALERTS)]
    send_stream(daemon.tcp, flood)
    journals = [send_tcp(daemon.tcp, run, "stream", LINES)]
    wait_for("the flood", lambda: daemon.metric("alerts", state="firing") == ALERTS)
    journals.append(send_tcp(daemon.tcp, run, "later", LINES))
    send_datagrams(daemon.udp, run, "datagrams", LINES, rate=5_000)

    for name in ("good", "flaky"):  # each told or counted
        wait_for(name, lambda: len(receivers.told(name)) + counted(daemon, name) >= ALERTS)  # noqa: B023
        assert counted(daemon, name) <= ALERTS - MOST_WAITING
    for name in ("redirect", "elsewhere"):
        wait_for(name, lambda: counted(daemon, name) == ALERTS)  # noqa: B023
        assert daemon.metric("dropped_alerts_total", notifier=name, reason="rejected") > 0
    for name in ("hang", "megabytes", "down", "inside"):
        wait_for(name, lambda: daemon.metric("alert_deliveries_total", notifier=name, outcome="failed"))  # noqa: B023
        waiting = daemon.metric("alert_queue_alerts", notifier=name)
        assert waiting <= MOST_WAITING
        assert waiting + counted(daemon, name) == ALERTS
    assert receivers.requests["trap"] == 0
    assert receivers.megabytes_sent < MEGABYTES // 10  # per request what fits into the buffers of two sockets

    def problems() -> dict[str, str | None]:
        return {name: one["problem"] for name, one in daemon.status()["alerts"]["notifiers"].items()}

    # An attempt is counted before its message is given up.
    wait_for("what is wrong", lambda: "a link-local address" in (problems()["inside"] or ""))
    assert (problems()["good"], problems()["flaky"]) == (None, None)

    daemon.wait_settled("udp", LINES)
    with open_database() as database:
        assert_good(check(stored_stamps(database, run), journals))
        assert database.fetch("SELECT count(*) FROM logs WHERE service LIKE 'flood-%'") == [(ALERTS,)]
        stored = {stamp.number for stamp in stored_stamps(database, run) if stamp.sender == "datagrams"}
        dropped = daemon.metric("kernel_dropped_datagrams_total", input="udp")
        assert len(stored) == LINES - dropped
        assert database.fetch("SELECT after, count(*) FROM alert_events GROUP BY 1") == [("firing", ALERTS)]
    assert daemon.metric("alert_evaluations_total", outcome="failed") == 0
