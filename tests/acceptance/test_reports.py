"""What the daemon says about itself, and how it refuses bad questions."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import send_stream

LEDGER_OUT = (
    "stored_rows_total",
    "quarantined_rows_total",
    "dropped_frames_total",
    "spooled_frames",
    "in_flight_frames",
)


def scrape(daemon: DaemonProcess) -> dict[str, list[tuple[dict[str, str], float]]]:
    text = daemon.get("/metrics").body.decode()
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def test_health_and_ready_say_yes(daemon: DaemonProcess) -> None:
    assert daemon.get("/health").json() == {"status": "ok"}
    assert daemon.get("/ready").json() == {"ready": True, "problems": []}


def test_status_tells_of_every_part(daemon: DaemonProcess) -> None:
    status = daemon.status()
    assert {"version", "wire", "uptime_seconds", "inputs", "ledger", "spool", "database", "tasks"} <= status.keys()
    assert status["database"] == {"up": True, "problem": None, "breaker_open": False}
    assert status["inputs"]["tcp"]["waiting_for_spool"] is False
    assert {"database keeper", "writer 1", "writer 2"} <= set(status["tasks"])


def test_the_ledger_in_the_metrics_closes_for_every_input(daemon: DaemonProcess, database: Database) -> None:
    send_stream(daemon.address("tcp"), [b"<14>1 - h ledger - - - seq=%d\n" % number for number in range(3_000)])
    database.wait_for_rows("ledger", 3_000)
    metrics = scrape(daemon)
    inputs = {labels["input"] for labels, _ in metrics["logstreamd_received_frames_total"]}
    assert inputs >= {"udp", "tcp"}
    for name in inputs:

        def total(metric: str, name: str = name) -> float:
            values = [value for labels, value in metrics[f"logstreamd_{metric}"] if labels["input"] == name]
            assert values, f"{metric} has no series for {name}"
            return sum(values)

        came = total("received_frames_total") + total("recovered_frames_total")
        assert came == sum(map(total, LEDGER_OUT))
        assert total("ledger_imbalance_frames") == 0


def test_metrics_tell_which_build_runs(daemon: DaemonProcess) -> None:
    ((labels, value),) = scrape(daemon)["logstreamd_build_info"]
    assert value == 1
    assert labels.keys() == {"version", "wire"}


def test_a_row_has_the_documented_fields(daemon: DaemonProcess) -> None:
    send_stream(daemon.address("tcp"), [b'{"level": "warn", "service": "shape", "message": "hello", "n": 1}\n'])
    (row,) = wait_for("the row", lambda: daemon.logs(service="shape"))
    assert list(row) == [
        "id", "ts", "received_at", "level", "severity", "facility", "host", "service",
        "proc_id", "msg_id", "trace_id", "message", "attrs", "input", "peer",
    ]  # fmt: skip
    assert (row["level"], row["message"], row["attrs"]) == ("warning", "hello", {"n": 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", "yesterday"),
        ("end", "2026-13-01T00:00:00Z"),
        ("level", "loud"),
        ("min_level", ""),
        ("service", ","),
        ("limit", "0"),
        ("limit", "1e3"),
        ("limit", "1001"),
        ("order", "up"),
        ("cursor", "not-a-cursor"),
        ("q", "nul\0"),
        ("servise", "shop"),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(daemon: DaemonProcess, field: str, value: str) -> None:
    answer = daemon.get("/api/v1/logs", {field: value})
    assert answer.status == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("bad_parameter", field)
    assert error["message"].startswith(field)


def test_a_parameter_given_twice_is_a_400(daemon: DaemonProcess) -> None:
    answer = daemon.get(f"/api/v1/logs?{urlencode([('limit', 1), ('limit', 2)])}")
    assert (answer.status, answer.json()["error"]["field"]) == (400, "limit")


def test_an_unknown_path_is_a_404_in_the_same_shape(daemon: DaemonProcess) -> None:
    answer = daemon.get("/api/v1/nothing")
    assert answer.status == 404
    assert answer.json()["error"].keys() == {"code", "message", "field"}
