"""A kill between the outbox and the receiver, and between the receiver and the outbox: told at least once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from alerting import firing
from webhook_receiver import WebhookReceiver

TESTS = Path(__file__).parents[2]

DAEMON = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import os
from alerting import firing
from logstreamd import faults
from logstreamd.alerts.delivery import Delivery
from logstreamd.alerts.notify.build import build_channel
from logstreamd.alerts.outbox import Outbox
from logstreamd.config import AlertsConfig
from logstreamd.metrics import Metrics

async def main():
    settings = {"type": "webhook", "url": sys.argv[3], "allow_private": True, "group_wait": "0s"}
    section = AlertsConfig(notifiers={"ops": settings}).notifiers["ops"]
    channels = {"ops": build_channel(section, {}, external_url="")}
    delivery = Delivery(channels, Outbox(Path(sys.argv[2])), Metrics(version="test", wire="python"))
    await delivery.start()
    run = asyncio.create_task(delivery.run())
    if sys.argv[4] == "evaluate":
        await delivery.notify([firing(service="checkout")], ["ops"])
    while delivery.status()["ops"]["waiting"]:
        await asyncio.sleep(0.01)
    await delivery.stop(5)
    run.cancel()

faults.arm(os.environ.get("LOGSTREAMD_FAULT", ""))
asyncio.run(main())
"""


async def run_daemon(path: Path, url: str, what: str, fault: str = "") -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, str(TESTS), str(path), url, what, env={**os.environ, "LOGSTREAMD_FAULT": fault}
    )
    return await process.wait()


@pytest.mark.parametrize(
    ("fault", "told_before"), [("alerts.queued:1:kill", 0), ("alerts.delivered:1:kill", 1), ("alerts.queued:2:kill", 1)]
)
async def test_a_kill_loses_no_alert(tmp_path: Path, receiver: WebhookReceiver, fault: str, told_before: int) -> None:
    path = tmp_path / "alerts" / "outbox.db"
    assert await run_daemon(path, receiver.url, "evaluate", fault) == -signal.SIGKILL
    assert len(receiver.received) == told_before
    assert await run_daemon(path, receiver.url, "only deliver") == 0
    fingerprints = [alert["fingerprint"] for request in receiver.received for alert in request.json["alerts"]]
    assert set(fingerprints) == {firing(service="checkout").fingerprint}
    # Told once where the kill came before the receiver or after the outbox knew, twice in between.
    assert len(fingerprints) == (2 if fault.startswith("alerts.delivered") else 1)


async def test_after_all_of_it_nothing_is_told_again(tmp_path: Path, receiver: WebhookReceiver) -> None:
    path = tmp_path / "alerts" / "outbox.db"
    for _ in range(2):
        assert await run_daemon(path, receiver.url, "evaluate") == 0
    assert len(receiver.received) == 1
