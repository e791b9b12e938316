"""From the evaluator's word to the receiver, with the outbox in between, and receivers that misbehave."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from alerting import firing, resolved
from webhook_receiver import WebhookReceiver, hang, says

from logstreamd.alerts.delivery import Delivery, UnknownReceiverError
from logstreamd.alerts.group import Policy
from logstreamd.alerts.notify.build import Channel
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.webhook import WebhookNotifier
from logstreamd.alerts.outbox import Outbox
from logstreamd.metrics import Metrics

AT_ONCE = Policy(group_wait_seconds=0.0, messages_per_minute=60, group_interval_seconds=0.0)


class Clock:
    """A clock that is where the real one is, and can be moved ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


def channel(url: str, policy: Policy = AT_ONCE, timeout_seconds: float = 5) -> Channel:
    client = HttpClient(
        allow_private=True, timeout_seconds=timeout_seconds, connect_timeout_seconds=min(5, timeout_seconds)
    )
    return Channel("webhook", WebhookNotifier(client, lambda: url, None, ""), policy)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts" / "outbox.db"


@asynccontextmanager
async def running(
    path: Path, metrics: Metrics, clock: Clock | None = None, **channels: Channel
) -> AsyncIterator[Delivery]:
    """A delivery that runs, as the daemon runs it."""
    delivery = Delivery(channels, Outbox(path), metrics, clock=clock)  # type: ignore[arg-type]
    await delivery.start()
    run = asyncio.create_task(delivery.run())
    await asyncio.sleep(0)
    try:
        yield delivery
    finally:
        await delivery.stop(5)
        assert not run.done()  # the daemon takes its end for a defect
        run.cancel()


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"logstreamd_{name}", labels)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something to become true; pytest's timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.005)


def told(receiver: WebhookReceiver) -> list[tuple[str, str]]:
    """Every alert of every message: its name and status."""
    return [
        (alert["labels"]["alertname"], alert["status"])
        for request in receiver.received
        for alert in request.json["alerts"]
    ]


async def test_an_alert_is_told_once_however_often_the_evaluator_says_it(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        for _ in range(5):
            await delivery.notify([firing()], ["ops"], interval_seconds=15)
        await receiver.wait_for(1)
        await delivery.notify([resolved()], ["ops"])
        await receiver.wait_for(2)
        await delivery.notify([resolved()], ["ops"])
    assert told(receiver) == [("ErrorBurst", "firing"), ("ErrorBurst", "resolved")]
    assert sample(metrics, "alert_deliveries_total", notifier="ops", outcome="delivered") == 2
    assert sample(metrics, "alert_delivery_seconds_count", notifier="ops") == 2
    assert sample(metrics, "alert_queue_alerts", notifier="ops") == 0


async def test_a_receiver_that_answers_500_then_200_gets_the_message_again(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    receiver.answers = [says(500), says(200)]
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        await delivery.notify([firing()], ["ops"])
        first, second = await receiver.wait_for(2)
        await until(lambda: delivery.status()["ops"]["waiting"] == 0)
    assert first.json["alerts"] == second.json["alerts"]  # the same fingerprint among them
    assert sample(metrics, "alert_deliveries_total", notifier="ops", outcome="failed") == 1
    assert sample(metrics, "alert_deliveries_total", notifier="ops", outcome="delivered") == 1


async def test_a_hanging_notifier_holds_up_neither_the_other_nor_the_evaluator(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    hanging = WebhookReceiver()
    hanging.answers = [hang]
    await hanging.start()
    channels = {"stuck": channel(hanging.url), "ops": channel(receiver.url)}
    async with running(path, metrics, **channels) as delivery:
        await delivery.notify([firing("A")], ["stuck", "ops"])
        await hanging.wait_for(1)
        for number in range(20):
            await delivery.notify([firing(f"Rule{number}")], ["stuck", "ops"])
        await until(lambda: delivery.status()["ops"]["waiting"] == 0)
        assert delivery.status()["stuck"]["waiting"] == 21
        assert len(hanging.received) == 1
        assert {name for name, _ in told(receiver)} == {"A", *(f"Rule{number}" for number in range(20))}
        hanging.answers = [says(200)]
        await hanging.stop()
    assert len(told(receiver)) == 21


async def test_a_rejected_message_is_not_sent_again_and_counted(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    receiver.answers = [says(400, "no thanks"), says(200)]
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        with structlog.testing.capture_logs() as lines:
            await delivery.notify([firing("A")], ["ops"])
            await until(lambda: delivery.status()["ops"]["waiting"] == 0 and receiver.received)
        assert delivery.status()["ops"]["problem"] == "HTTP 400: no thanks"
        await delivery.notify([firing("B")], ["ops"])
        await receiver.wait_for(2)
        await until(lambda: delivery.status()["ops"]["problem"] is None)
    assert told(receiver) == [("A", "firing"), ("B", "firing")]
    assert sample(metrics, "dropped_alerts_total", notifier="ops", reason="rejected") == 1
    assert {line["event"] for line in lines} == {"a message was rejected", "alerts were not told"}


async def test_a_receiver_is_left_alone_for_as_long_as_it_says(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    receiver.answers = [says(429, Retry_After="120"), says(200)]
    clock = Clock()
    async with running(path, metrics, clock, ops=channel(receiver.url)) as delivery:
        await delivery.notify([firing()], ["ops"])
        await until(lambda: delivery.status()["ops"]["retry_in_seconds"])
        assert 119 < delivery.status()["ops"]["retry_in_seconds"] <= 120
        assert len(receiver.received) == 1
        clock.ahead = 119
        await delivery.notify([firing("Another")], ["ops"])  # wakes the worker
        assert len(receiver.received) == 1
        clock.ahead = 121
        await delivery.notify([firing("A third")], ["ops"])
        await until(lambda: len(told(receiver)) == 4)
        await until(lambda: delivery.status()["ops"]["waiting"] == 0)


async def test_an_outage_becomes_one_message_about_what_is_true_at_its_end(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    await receiver.stop()
    clock = Clock()
    async with running(path, metrics, clock, ops=channel(receiver.url)) as delivery:
        await delivery.notify([firing(service=f"s{number}") for number in range(10)], ["ops"])
        await until(lambda: delivery.status()["ops"]["problem"])
        await delivery.notify([resolved(service="s0")], ["ops"])
        await receiver.start()
        clock.ahead = 300
        await delivery.notify([firing(service="late")], ["ops"])
        (request,) = await receiver.wait_for(1)
        await until(lambda: delivery.status()["ops"]["waiting"] == 0)
        assert delivery.status()["ops"]["problem"] is None
    assert sorted(alert["status"] for alert in request.json["alerts"]) == ["firing"] * 10 + ["resolved"]


async def test_what_was_not_told_is_told_by_the_next_run(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    await receiver.stop()
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        await delivery.notify([firing()], ["ops"])
        await until(lambda: delivery.status()["ops"]["problem"])
    await receiver.start()
    async with running(path, Metrics(version="test", wire="python"), ops=channel(receiver.url)) as delivery:
        await receiver.wait_for(1)
        await until(lambda: delivery.status()["ops"]["waiting"] == 0)
    async with running(path, Metrics(version="test", wire="python"), ops=channel(receiver.url)) as delivery:
        await delivery.notify([firing()], ["ops"])  # it still fires, and was told
        assert delivery.status()["ops"]["waiting"] == 0
    assert told(receiver) == [("ErrorBurst", "firing")]


async def test_a_stop_tells_what_waits_for_its_group(path: Path, receiver: WebhookReceiver, metrics: Metrics) -> None:
    slow = replace(AT_ONCE, group_wait_seconds=3_600)
    async with running(path, metrics, ops=channel(receiver.url, slow)) as delivery:
        await delivery.notify([firing()], ["ops"])
        assert receiver.received == []
    assert told(receiver) == [("ErrorBurst", "firing")]


async def test_a_stop_does_not_wait_for_a_receiver_that_hangs(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    receiver.answers = [hang]
    delivery = Delivery({"ops": channel(receiver.url, timeout_seconds=300)}, Outbox(path), metrics)
    await delivery.start()
    run = asyncio.create_task(delivery.run())
    await delivery.notify([firing()], ["ops"])
    await receiver.wait_for(1)
    with structlog.testing.capture_logs() as lines:
        await delivery.stop(0.05)
    run.cancel()
    assert lines == [{"event": "alerts left in the outbox for the next start", "log_level": "warning", "ops": 1}]


async def test_the_alerts_of_a_notifier_that_is_gone_are_forgotten(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    delivery = Delivery({"old": channel(receiver.url)}, Outbox(path), metrics)
    await delivery.start()
    await delivery.notify([firing()], ["old"])
    await delivery.stop(0)
    with structlog.testing.capture_logs() as lines:
        async with running(path, metrics, new=channel(receiver.url)):
            pass
        async with running(path, metrics, new=channel(receiver.url)):
            pass
    assert [line["untold"] for line in lines if "gone" in line["event"]] == [1]


async def test_an_unknown_receiver_is_an_error_and_nobody_is_told(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        with pytest.raises(UnknownReceiverError, match=r"no notifier is called 'obs' \(there are: ops\)"):
            await delivery.notify([firing()], ["ops", "obs"])
        assert delivery.receivers == ("ops",)
    assert receiver.received == []


async def test_without_notifiers_there_is_nothing_to_do(path: Path, metrics: Metrics) -> None:
    async with running(path, metrics) as delivery:
        await delivery.notify([firing()], [])
        assert delivery.status() == {}


class FullDisk(Outbox):
    """An outbox whose disk is full until it is told otherwise: what SQLite says then."""

    full = True

    async def write(self, changes: Any) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        await super().write(changes)


async def test_when_the_outbox_cannot_be_written_alerts_are_told_all_the_same(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    outbox = FullDisk(path)
    delivery = Delivery({"ops": channel(receiver.url)}, outbox, metrics)
    await delivery.start()
    run = asyncio.create_task(delivery.run())
    with structlog.testing.capture_logs() as lines:
        await delivery.notify([firing("DiskFull")], ["ops"])
        await receiver.wait_for(1)
        await until(lambda: delivery.status()["ops"]["waiting"] == 0)
        outbox.full = False
        await delivery.notify([firing("Other")], ["ops"])
        await receiver.wait_for(2)
    await delivery.stop(5)
    run.cancel()
    assert [line["event"] for line in lines] == [
        "the alerts' outbox cannot be written; alerts are told from memory",
        "the alerts' outbox can be written again",
    ]
    assert (sample(metrics, "alert_outbox_failures_total") or 0) >= 1
    async with running(path, Metrics(version="test", wire="python"), ops=channel(receiver.url)) as again:
        await again.notify([firing("DiskFull"), firing("Other")], ["ops"])  # what could not be written then, was later
    assert len(told(receiver)) == 2


async def test_a_rule_flood_is_bounded_and_counted(path: Path, receiver: WebhookReceiver, metrics: Metrics) -> None:
    await receiver.stop()
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        await delivery.notify([firing(service=f"s{number}") for number in range(1_200)], ["ops"])
        assert sample(metrics, "alert_queue_alerts", notifier="ops") == 1_000
        assert sample(metrics, "dropped_alerts_total", notifier="ops", reason="queue_full") == 200


async def test_a_defect_in_a_notifier_ends_the_run_loudly(path: Path, metrics: Metrics) -> None:
    class Broken:
        async def send(self, message: object) -> None:
            raise ZeroDivisionError

        async def close(self) -> None:
            pass

    delivery = Delivery({"ops": Channel("log", Broken(), AT_ONCE)}, Outbox(path), metrics)
    await delivery.start()
    run: Awaitable[None] = asyncio.ensure_future(delivery.run())
    await delivery.notify([firing()], ["ops"])
    with pytest.raises(ExceptionGroup):
        await run
    await delivery.stop(0)


async def test_a_notifier_with_other_settings_goes_on_with_what_it_had_to_tell(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    other = WebhookReceiver()
    await other.start()
    receiver.answers = [hang]
    old = {"ops": channel(receiver.url), "kept": channel(other.url)}
    async with running(path, metrics, **old) as delivery:
        await delivery.notify([firing("Untold")], ["ops"])
        await receiver.wait_for(1)
        await delivery.replace({"ops": channel(other.url), "kept": old["kept"]})
        await other.wait_for(1)
        await delivery.notify([firing("Kept")], ["kept"])
        await other.wait_for(2)
    assert told(other) == [("Untold", "firing"), ("Kept", "firing")]
    await other.stop()


async def test_notifiers_come_and_go_and_those_that_are_gone_are_forgotten(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    receiver.answers = [hang]
    async with running(path, metrics) as delivery:
        await delivery.replace({"ops": channel(receiver.url)})
        await delivery.notify([firing()], ["ops"])
        await receiver.wait_for(1)
        with structlog.testing.capture_logs() as logs:
            await delivery.replace({})
        assert (logs[0]["notifier"], logs[0]["untold"]) == ("ops", 1)
        with pytest.raises(UnknownReceiverError):
            await delivery.notify([firing()], ["ops"])
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        assert delivery.status()["ops"]["waiting"] == 0


async def test_a_daemon_that_stands_by_takes_what_fires_out_of_its_outbox_and_tells_what_has_resolved(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    patient = channel(receiver.url, replace(AT_ONCE, group_wait_seconds=3_600))
    async with running(path, metrics, ops=patient) as delivery:
        await delivery.notify([firing("Fires"), firing("Resolves")], ["ops"])
        await delivery.notify([resolved("Resolves")], ["ops"])
        assert delivery.untold() == {"Fires", "Resolves"}
        await delivery.stand_by()
        assert delivery.untold() == {"Resolves"}
    assert told(receiver) == [("Resolves", "resolved")]
    async with running(path, metrics, ops=channel(receiver.url)) as delivery:
        assert delivery.untold() == set()
    assert len(receiver.received) == 1


async def test_nobody_is_told_what_an_earlier_run_left_before_it_is_known_what_is_silenced(
    path: Path, receiver: WebhookReceiver, metrics: Metrics
) -> None:
    known, silenced = asyncio.Event(), set[str]()
    delivery = Delivery(
        {"ops": channel(receiver.url)},
        Outbox(path),
        metrics,
        is_silenced=lambda labels: labels["alertname"] in silenced,
    )
    await delivery.start()
    await delivery.notify([firing("Quiet"), firing("Loud")], ["ops"])
    run = asyncio.create_task(delivery.run(known.wait))
    await asyncio.sleep(0)
    assert receiver.received == []
    silenced.add("Quiet")
    known.set()
    await receiver.wait_for(1)
    await delivery.stop(5)
    run.cancel()
    assert told(receiver) == [("Loud", "firing")]
