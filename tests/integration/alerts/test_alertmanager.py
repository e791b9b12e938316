"""The real Alertmanager: an alert appears, stays while it is resent, and ends when it resolves."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alerting import firing, message_of, sample
from webhook_receiver import WebhookReceiver, says

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.delivery import Delivery
from logstreamd.alerts.group import Policy
from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.alertmanager import MAX_ALERTS_PER_REQUEST, AlertmanagerNotifier
from logstreamd.alerts.notify.build import Channel
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.alerts.outbox import Outbox
from logstreamd.config.receiver_url import ReceiverUrl
from logstreamd.metrics import Metrics

CONFIG = """
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    async def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are active, as its API tells them."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v2/alerts") as answer:
            assert answer.status == 200
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def wait_until_ready(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.05)

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Return the active alerts once there are so many; pytest's timeout is the limit."""
        while len(found := await self.alerts()) != count:
            await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("no Alertmanager (Debian: apt-get install prometheus-alertmanager)")
    (tmp_path / "am.yml").write_text(CONFIG)
    port = free_port()
    process = subprocess.Popen(
        [
            program,
            f"--config.file={tmp_path / 'am.yml'}",
            f"--storage.path={tmp_path / 'am'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        manager = Alertmanager(port)
        await manager.wait_until_ready()
        yield manager
    finally:
        process.terminate()
        process.wait()


def notifier_for(*urls: str, resend_delay_seconds: float = 60.0, **settings: Any) -> AlertmanagerNotifier:
    client = HttpClient(allow_private=True, timeout_seconds=5, connect_timeout_seconds=5)
    parsed = [ReceiverUrl.parse(url) for url in urls]
    return AlertmanagerNotifier(client, parsed, resend_delay_seconds=resend_delay_seconds, **settings)


def fires_now(**labels: str) -> Alert:
    return replace(firing(**labels), starts_at=datetime.now(UTC), samples=(sample("card declined"),))


def ended(alert: Alert) -> Alert:
    return replace(alert, status="resolved", ends_at=datetime.now(UTC))


async def test_an_alert_appears_with_what_proves_it_and_ends_when_it_resolves(alertmanager: Alertmanager) -> None:
    notifier, alert = notifier_for(alertmanager.url), fires_now(service="checkout")
    await notifier.send(message_of(alert))
    (found,) = await alertmanager.wait_for(1)
    assert found["labels"] == {"alertname": "ErrorBurst", "service": "checkout"}
    assert found["annotations"] == {
        "summary": "ErrorBurst happened",
        "samples": "2026-11-22T10:00:00Z error web-1 checkout card declined",
    }
    assert found["status"]["state"] == "active"
    assert datetime.fromisoformat(found["startsAt"]) == alert.starts_at.replace(
        microsecond=alert.starts_at.microsecond // 1000 * 1000
    )
    await notifier.send(message_of(ended(alert)))
    await alertmanager.wait_for(0)
    await notifier.close()


async def test_a_resend_moves_the_end_and_what_is_not_resent_ends_by_itself(alertmanager: Alertmanager) -> None:
    began = datetime.now(UTC)
    times = [began, began + timedelta(seconds=60), began - timedelta(seconds=239)]
    notifier, alert = notifier_for(alertmanager.url, now=lambda: times.pop(0)), fires_now()
    await notifier.send(message_of(alert))
    (first,) = await alertmanager.wait_for(1)
    await notifier.send(message_of(alert))
    (second,) = await alertmanager.wait_for(1)
    lifetime = datetime.fromisoformat(first["endsAt"]) - began
    assert timedelta(seconds=239) < lifetime <= timedelta(seconds=240)
    moved = datetime.fromisoformat(second["endsAt"]) - datetime.fromisoformat(first["endsAt"])
    assert moved == timedelta(seconds=60)
    # The last word of a daemon that fell silent, four minutes ago but for a second.
    forgotten = fires_now(service="other")
    await notifier.send(message_of(forgotten))
    await alertmanager.wait_for(2)
    await alertmanager.wait_for(1)
    await notifier.close()


async def test_the_delivery_keeps_an_alert_alive_and_ends_it(
    alertmanager: Alertmanager, tmp_path: Path, metrics: Metrics
) -> None:
    policy = Policy(None, 0, 0, 60.0, None, None, repeat_resolved_seconds=900)
    notifier = notifier_for(alertmanager.url)
    delivery = Delivery(
        {"am": Channel("alertmanager", notifier, policy)}, Outbox(tmp_path / "o" / "outbox.db"), metrics
    )
    await delivery.start()
    run = asyncio.create_task(delivery.run())
    alerts = [fires_now(service=f"s{number}") for number in range(MAX_ALERTS_PER_REQUEST + 44)]
    await delivery.notify(alerts, ["am"], interval_seconds=15)
    await alertmanager.wait_for(300)
    await delivery.notify([ended(alert) for alert in alerts[:299]], ["am"], interval_seconds=15)
    (left,) = await alertmanager.wait_for(1)
    assert left["labels"]["service"] == "s299"
    await delivery.stop(5)
    run.cancel()


async def test_amtool_sees_what_we_sent(alertmanager: Alertmanager) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("no amtool (Debian: apt-get install prometheus-alertmanager)")
    notifier = notifier_for(alertmanager.url)
    await notifier.send(message_of(fires_now(service="checkout")))
    await notifier.close()
    await alertmanager.wait_for(1)
    process = await asyncio.create_subprocess_exec(
        amtool,
        f"--alertmanager.url={alertmanager.url}",
        "-o",
        "json",
        "alert",
        "query",
        "service=checkout",
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert [one["labels"]["service"] for one in json.loads(output)] == ["checkout"]


async def test_an_alert_lives_for_four_of_the_longer_of_interval_and_resend_delay(receiver: WebhookReceiver) -> None:
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    notifier = notifier_for(receiver.url, now=lambda: now)
    for interval in (15.0, 120.0):
        await notifier.send(Message("am", {}, (firing(),), interval_seconds=interval))
    assert [request.json[0]["endsAt"] for request in receiver.received] == [
        "2026-11-22T10:04:00.000Z",
        "2026-11-22T10:08:00.000Z",
    ]
    await notifier.close()


async def test_every_alertmanager_gets_every_alert_in_requests_of_256(receiver: WebhookReceiver) -> None:
    other = WebhookReceiver()
    await other.start()
    notifier = notifier_for(receiver.url, other.url)
    await notifier.send(message_of(*(firing(service=f"s{number}") for number in range(600))))
    for one in (receiver, other):
        assert [len(request.json) for request in one.received] == [256, 256, 88]
    await notifier.close()
    await other.stop()


async def test_one_alertmanager_that_takes_the_alerts_is_enough(receiver: WebhookReceiver) -> None:
    notifier = notifier_for("http://127.0.0.1:1", receiver.url)
    await notifier.send(message_of(firing()))
    assert len(receiver.received) == 1
    await notifier.close()


async def test_when_none_takes_them_one_that_may_later_decides(receiver: WebhookReceiver) -> None:
    receiver.answers = [says(400)]
    notifier = notifier_for("http://127.0.0.1:1", receiver.url)
    with pytest.raises(UnavailableError):
        await notifier.send(message_of(firing()))
    await notifier.close()
    alone = notifier_for(receiver.url)
    with pytest.raises(RejectedError):
        await alone.send(message_of(firing()))
    await alone.close()
