from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from logstreamd.metrics import Metrics
from logstreamd.metrics.labels import ALERT_DROP_REASONS, CLOSE_REASONS, DELIVERY_OUTCOMES, DROP_REASONS


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3", wire="python")


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"logstreamd_{name}", labels)


def test_every_metric_says_what_it_counts_and_follows_the_naming(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        if not family.name.startswith("logstreamd_"):
            assert family.name.startswith(("process_", "python_"))
            continue
        assert len(family.documentation) > 8, family.name
        assert family.documentation.endswith("."), family.name


def test_the_names_of_the_contract_are_there(metrics: Metrics) -> None:
    metrics.watch_input("udp", in_flight=lambda: 0, spooled=lambda: 0)
    text = generate_latest(metrics.registry).decode()
    for name in (
        "received_frames_total",
        "recovered_frames_total",
        "stored_rows_total",
        "quarantined_rows_total",
        "dropped_frames_total",
        "spooled_frames",
        "in_flight_frames",
        "ledger_imbalance_frames",
        "kernel_dropped_datagrams_total",
        "build_info",
    ):
        assert f"# TYPE logstreamd_{name.removesuffix('_total')}" in text or f"# TYPE logstreamd_{name}" in text
    assert 'logstreamd_build_info{version="1.2.3",wire="python"} 1.0' in text


def test_every_series_of_an_input_is_there_from_the_start(metrics: Metrics) -> None:
    metrics.watch_input("udp", in_flight=lambda: 0, spooled=lambda: 0)
    for name in (
        "received_frames_total",
        "recovered_frames_total",
        "stored_rows_total",
        "quarantined_rows_total",
        "received_bytes_total",
        "truncated_frames_total",
        "partial_frames_total",
        "spooled_frames",
        "in_flight_frames",
        "ledger_imbalance_frames",
    ):
        assert read(metrics, name, input="udp") == 0, name
    for reason in DROP_REASONS:
        assert read(metrics, "dropped_frames_total", input="udp", reason=reason) == 0


def test_the_ledger_closes_when_every_frame_is_somewhere(metrics: Metrics) -> None:
    metrics.watch_input("udp", in_flight=lambda: 3, spooled=lambda: 4)
    metrics.watch_input("tcp", in_flight=lambda: 0, spooled=lambda: 0)
    metrics.received_frames.labels("udp").inc(20)
    metrics.recovered_frames.labels("udp").inc(5)
    metrics.stored_rows.labels("udp").inc(10)
    metrics.quarantined_rows.labels("udp").inc(2)
    for reason in ("spool_full", "shutdown", "duplicate"):
        metrics.dropped_frames.labels("udp", reason).inc(2)
    assert metrics.ledger("udp").as_dict() == {
        "received": 20,
        "recovered": 5,
        "stored": 10,
        "quarantined": 2,
        "dropped": 6,
        "spooled": 4,
        "in_flight": 3,
        "imbalance": 0,
    }
    assert read(metrics, "ledger_imbalance_frames", input="udp") == 0
    assert set(metrics.ledgers()) == {"udp", "tcp"}


@pytest.mark.parametrize(("stored", "imbalance"), [(9, 1), (10, 0), (11, -1)])
def test_a_frame_that_is_nowhere_or_twice_shows(metrics: Metrics, stored: int, imbalance: int) -> None:
    metrics.watch_input("udp", in_flight=lambda: 0, spooled=lambda: 0)
    metrics.received_frames.labels("udp").inc(10)
    metrics.stored_rows.labels("udp").inc(stored)
    assert metrics.ledger("udp").imbalance == imbalance
    assert read(metrics, "ledger_imbalance_frames", input="udp") == imbalance


def test_the_ledger_asks_at_each_scrape(metrics: Metrics) -> None:
    spooled = 0
    metrics.watch_input("udp", in_flight=lambda: 0, spooled=lambda: spooled)
    metrics.received_frames.labels("udp").inc(7)
    assert read(metrics, "ledger_imbalance_frames", input="udp") == 7
    spooled = 7
    assert read(metrics, "spooled_frames", input="udp") == 7
    assert read(metrics, "ledger_imbalance_frames", input="udp") == 0


def test_the_spool_is_shown(metrics: Metrics) -> None:
    metrics.show_spool(batches=1, file_bytes=2, max_bytes=3, window_bytes=4, oldest_age_seconds=5.0, full=True)
    names = ("batches", "bytes", "max_bytes", "window_bytes", "oldest_age_seconds", "full")
    assert [read(metrics, f"spool_{name}") for name in names] == [1, 2, 3, 4, 5, 1]


def test_two_daemons_in_one_process_do_not_share_metrics() -> None:
    first, second = Metrics(version="1", wire="python"), Metrics(version="1", wire="python")
    first.stored_batches.inc()
    assert (read(first, "stored_batches_total"), read(second, "stored_batches_total")) == (1, 0)


def test_the_reasons_are_closed_sets_of_distinct_words() -> None:
    for reasons in (DROP_REASONS, CLOSE_REASONS, DELIVERY_OUTCOMES, ALERT_DROP_REASONS):
        assert len(set(reasons)) == len(reasons)
        assert all(reason.replace("_", "").isalpha() for reason in reasons)


def test_every_series_of_a_notifier_is_there_from_the_start(metrics: Metrics) -> None:
    metrics.watch_notifier("ops", waiting=lambda: 3)
    for outcome in DELIVERY_OUTCOMES:
        assert read(metrics, "alert_deliveries_total", notifier="ops", outcome=outcome) == 0
    for reason in ALERT_DROP_REASONS:
        assert read(metrics, "dropped_alerts_total", notifier="ops", reason=reason) == 0
    assert read(metrics, "alert_delivery_seconds_count", notifier="ops") == 0
    assert read(metrics, "alert_queue_alerts", notifier="ops") == 3
