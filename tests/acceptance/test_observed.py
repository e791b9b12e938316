"""Eyes on the daemon: its log, its metrics about itself, and its traces, as somebody sees them who did not build it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from otlp_receiver import OtlpReceiver, ReceivedSpan
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import StartDaemon
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.senders import send_stream
from tests.acceptance.webhook_server import WebhookServer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "from-the-proxy"}
SENDERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RULES = """
groups:
  - name: seen
    interval: 1s
    rules:
      - {alert: Many, query: "service:observed", condition: count >= 1, over: 1m}
"""


def value(daemon: DaemonProcess, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(daemon.get("/metrics").body.decode())
    samples = (sample for family in families for sample in family.samples)
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def children(spans: list[ReceivedSpan], parent: ReceivedSpan) -> set[str]:
    return {one.name for one in spans if one.parent_id == parent.span_id and one.trace_id == parent.trace_id}


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    async with OtlpReceiver() as receiver:
        yield receiver


async def test_requests_batches_rules_and_messages_are_traced_from_end_to_end(
    make_daemon: StartDaemon, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with WebhookServer() as webhook:
        told = {"type": "webhook", "url": webhook.url, "allow_private": True, "group_wait": "0s"}
        alerts = {"rules": [str(rules)], "evaluation_delay": "0s", "notifiers": {"ops": told}}
        tracing = {"endpoint": receiver.endpoint.removesuffix("/v1/traces"), "service_name": "logs-1"}
        settings = {"alerts": alerts, "tracing": tracing, "log": {"level": "debug"}}

        def drive() -> DaemonProcess:
            daemon = make_daemon(settings=settings).start()
            body = json.dumps({"message": "traced", "service": "observed", "trace_id": SENDERS_TRACE}).encode()
            answer = daemon.post("/api/v1/logs", body, {"Content-Type": "application/json", **TRACED})
            assert (answer.status, answer.headers["X-Request-Id"]) == (200, "from-the-proxy")
            send_stream(daemon.address("tcp"), [b"<11>1 - web-1 observed - - - line\n"] * 3)
            wait_for("the alert", lambda: webhook.alerts("firing"))
            (traced,) = daemon.logs(q="traced")
            assert traced["trace_id"] == SENDERS_TRACE
            daemon.stop()
            return daemon

        daemon = await asyncio.to_thread(drive)
    spans = receiver.spans
    (posted,) = receiver.named("POST /api/v1/logs")
    assert (posted.trace_id, posted.parent_id, posted.kind) == (TRACE, PARENT, "server")
    batches = receiver.named("batch")
    assert {one.attributes["logstreamd.input"] for one in batches} == {"http", "tcp"}
    assert sum(one.attributes["logstreamd.rows"] for one in batches) == 4
    assert all(children(spans, one) == {"encode", "COPY", "commit"} for one in batches)
    evaluations = receiver.named("rule")
    assert {(one.attributes["logstreamd.rule"], one.attributes["logstreamd.outcome"]) for one in evaluations} == {
        ("Many", "ok")
    }
    assert receiver.named("POST")[0].attributes["server.address"] == "127.0.0.1"
    assert SENDERS_TRACE not in {one.trace_id for one in spans}
    assert {one["service.name"] for one in receiver.resources} == {"logs-1"}
    lines = [line for line in daemon.events("request") if line["route"] == "/api/v1/logs" and line["method"] == "POST"]
    assert [(one["request_id"], one["trace_id"], one["span_id"]) for one in lines] == [
        ("from-the-proxy", TRACE, posted.span_id)
    ]


def test_every_line_of_the_log_is_an_object_and_lines_are_counted(daemon: DaemonProcess) -> None:
    for line in daemon.output.splitlines():
        entry: dict[str, Any] = json.loads(line)
        assert {"event", "level", "timestamp"} <= entry.keys()
    assert value(daemon, "logstreamd_log_lines_total", level="info") >= 1
    assert value(daemon, "logstreamd_log_lines_total", level="critical") == 0
    wait_for("a look at the event loop", lambda: value(daemon, "logstreamd_event_loop_lag_seconds_count"))


def test_an_outage_and_a_flood_are_a_few_lines_and_hold_nothing_up(make_daemon: StartDaemon) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    inputs = [{"type": "tcp", "listen": "127.0.0.1:0", "max_connections": 1}]
    nowhere = {"endpoint": "http://127.0.0.1:9", "timeout_seconds": "2s"}
    daemon = make_daemon(inputs=inputs, settings={"tracing": nowhere}).start()
    address = daemon.address("tcp")
    with socket.create_connection(address) as first:
        first.sendall(b"<14>1 - h kept - - - line\n")
        wait_for("the row", lambda: daemon.logs(service="kept"))
        for _ in range(50):
            with socket.create_connection(address) as refused:
                assert refused.recv(1) == b""
        wait_for("fifty", lambda: value(daemon, "logstreamd_rejected_connections_total", input="tcp") == 50)
        assert value(daemon, "logstreamd_suppressed_log_lines_total", level="warning") == 45
    wait_for("lost spans", lambda: value(daemon, "logstreamd_lost_spans_total"))
    daemon.stop()
    refusals = daemon.events("connection refused")
    assert len(refusals) == 6
    assert refusals[-1]["suppressed"] == 45
    (line,) = daemon.events("traces can't be sent")
    assert "Connection refused" in line["problem"]
