"""Who may send, and how much, by a clock that tests move."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
import structlog
from set_clock import SetClock

from logstreamd.inputs import admission as admission_module
from logstreamd.inputs.admission import MAX_REFUSED, MAX_SOURCES, TOP_SOURCES, Admission
from logstreamd.metrics import Metrics


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_000.0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="test", wire="python")


@pytest.fixture
def admission(clock: SetClock, metrics: Metrics) -> Admission:
    return Admission("in", metrics, max_records_per_second=10, max_bytes_per_second=1_000, clock=clock)


def counted(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"logstreamd_{name}_total", {"input": "in", **labels})


def settings(**changed: Any) -> dict[str, Any]:
    return {"allow": (), "max_records_per_second": 0, "max_bytes_per_second": 0, **changed}


def taken(admission: Admission, address: str, sizes: list[int]) -> list[bool]:
    gate = admission.gate(address)
    return [gate.try_take(size) for size in sizes]


def test_without_settings_everybody_may_send_everything_and_nobody_is_remembered(metrics: Metrics) -> None:
    admission = Admission("in", metrics)
    assert not admission.restricts
    assert admission.admits("192.0.2.1")
    assert admission.source("192.0.2.1") is None
    assert taken(admission, "192.0.2.1", [10**9] * 100) == [True] * 100
    assert admission.take_dropped() == 0
    assert admission.top() == []


def test_a_source_may_send_what_one_second_allows_at_once_and_then_as_fast_as_allowed(
    admission: Admission, clock: SetClock
) -> None:
    assert taken(admission, "192.0.2.1", [1] * 12) == [True] * 10 + [False] * 2
    clock.now += 0.5
    assert taken(admission, "192.0.2.1", [1] * 7) == [True] * 5 + [False] * 2
    clock.now += 3600
    assert taken(admission, "192.0.2.1", [1] * 12) == [True] * 10 + [False] * 2


def test_bytes_are_limited_beside_records(admission: Admission, clock: SetClock) -> None:
    assert taken(admission, "192.0.2.1", [600, 600, 400, 1]) == [True, False, True, False]
    clock.now += 0.6
    assert taken(admission, "192.0.2.1", [600]) == [True]


def test_what_is_cut_costs_nothing(admission: Admission) -> None:
    assert taken(admission, "192.0.2.1", [1_001] * 50 + [1_000]) == [False] * 50 + [True]


def test_sources_do_not_share_a_bucket_also_within_one_network(admission: Admission) -> None:
    assert not all(taken(admission, "2001:db8::1", [1] * 100))
    assert taken(admission, "2001:db8::2", [1] * 10) == [True] * 10


def test_an_ipv4_sender_has_one_bucket_however_its_socket_writes_it(admission: Admission) -> None:
    assert taken(admission, "::ffff:192.0.2.1", [1] * 10) == [True] * 10
    assert taken(admission, "192.0.2.1", [1]) == [False]
    assert admission.source("fe80::1%eth0") is admission.source("fe80::1")


def test_what_was_cut_is_in_the_ledger_and_at_its_source(admission: Admission, metrics: Metrics) -> None:
    taken(admission, "192.0.2.1", [7] * 13)
    taken(admission, "192.0.2.2", [9] * 11)
    taken(admission, "192.0.2.3", [9])
    assert admission.take_dropped() == 4
    assert admission.take_dropped() == 0
    assert counted(metrics, "received_frames") == 4
    assert counted(metrics, "dropped_frames", reason="rate_limited") == 4
    assert counted(metrics, "dropped_frames", reason="not_allowed") == 0
    assert [(one["source"], one["cut_records"], one["cut_bytes"]) for one in admission.top()] == [
        ("192.0.2.1", 3, 21),
        ("192.0.2.2", 1, 9),
    ]


def test_who_is_not_allowed_is_counted_by_kind(metrics: Metrics, clock: SetClock) -> None:
    admission = Admission("in", metrics, allow=["10.0.0.0/8"], clock=clock)
    assert admission.restricts
    assert admission.admits("10.255.0.1")
    assert taken(admission, "10.0.0.1", [1]) == [True]
    assert not admission.admits("192.0.2.1")
    assert taken(admission, "192.0.2.1", [5, 5, 5]) == [False] * 3
    assert admission.take_dropped() == 3
    assert counted(metrics, "denied_connections") == 1
    assert counted(metrics, "dropped_frames", reason="not_allowed") == 3
    assert counted(metrics, "received_frames") == 3
    assert [(one["source"], one["refused"]) for one in admission.top()] == [("192.0.2.1", 4)]
    assert not admission.allows("192.0.2.1")
    assert admission.top()[0]["refused"] == 4  # to ask is no attempt


def test_a_stream_owes_the_time_that_what_it_brought_takes(
    admission: Admission, clock: SetClock, metrics: Metrics
) -> None:
    source = admission.source("192.0.2.1")
    assert source is not None
    assert source.owed_seconds(10, 100) == 0.0  # what one second allows
    assert source.owed_seconds(5, 100) == pytest.approx(0.5)
    assert source.owed_seconds(0, 2_800) == pytest.approx(2.0)  # of two debts the longer one
    clock.now += 2.0
    assert source.owed_seconds(0, 0) == pytest.approx(0.0, abs=1e-9)
    clock.now += 1.0
    assert source.owed_seconds(10, 1_000) == pytest.approx(0.0, abs=1e-9)
    assert counted(metrics, "slowed_seconds") == pytest.approx(2.5)
    assert admission.top()[0]["slowed_seconds"] == pytest.approx(2.5)


def test_streams_of_one_source_share_its_debt(admission: Admission) -> None:
    one, other = admission.source("192.0.2.1"), admission.source("192.0.2.1")
    assert one is not None
    assert other is one
    assert one.owed_seconds(20, 0) == pytest.approx(1.0)
    assert other.owed_seconds(10, 0) == pytest.approx(2.0)


def test_new_limits_hold_at_once_and_begin_with_full_buckets(admission: Admission) -> None:
    assert not all(taken(admission, "192.0.2.1", [1] * 100))
    admission.apply(**settings(max_records_per_second=3))
    assert taken(admission, "192.0.2.1", [1] * 4) == [True] * 3 + [False]
    assert taken(admission, "192.0.2.1", [10**9]) == [False]
    admission.apply(**settings())
    assert taken(admission, "192.0.2.1", [10**9] * 9) == [True] * 9
    admission.apply(**settings(max_bytes_per_second=100))  # whatever it sent while it was free
    assert taken(admission, "192.0.2.1", [60, 60]) == [True, False]
    assert admission.top()[0]["cut_records"] == 90 + 1 + 1 + 1


def test_a_reload_that_leaves_the_limits_alone_fills_no_bucket(admission: Admission) -> None:
    taken(admission, "192.0.2.1", [1] * 10)
    admission.apply(allow=["192.0.2.0/24"], max_records_per_second=10, max_bytes_per_second=1_000)
    assert taken(admission, "192.0.2.1", [1]) == [False]


def test_a_stream_that_was_read_before_there_was_a_limit_owes_nothing_for_it(admission: Admission) -> None:
    admission.apply(**settings(max_bytes_per_second=10**6))
    source = admission.source("192.0.2.1")
    assert source is not None
    assert source.owed_seconds(10**9, 10) == 0.0
    admission.apply(**settings(max_records_per_second=5))
    assert source.owed_seconds(5, 10**9) == 0.0


def test_the_source_that_was_silent_longest_is_forgotten_and_begins_anew(
    admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "MAX_SOURCES", 3)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        taken(admission, address, [1] * 10)
    assert taken(admission, "192.0.2.1", [1]) == [False]  # heard of again
    taken(admission, "192.0.2.4", [1])
    assert taken(admission, "192.0.2.1", [1]) == [False]
    assert taken(admission, "192.0.2.2", [1]) == [True]  # forgotten: a full bucket


def test_so_many_sources_are_remembered_and_no_more(admission: Admission) -> None:
    for number in range(MAX_SOURCES + 10):
        admission.source(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(admission._sources) == MAX_SOURCES


def test_the_list_of_those_that_were_held_back_is_bounded_and_the_sums_are_exact(metrics: Metrics) -> None:
    admission = Admission("in", metrics, allow=["10.0.0.0/8"])
    for number in range(MAX_REFUSED + 500):
        taken(admission, f"172.16.{number >> 8}.{number & 255}", [1])
        taken(admission, "192.0.2.1", [1])
    assert admission.take_dropped() == 2 * (MAX_REFUSED + 500)
    top = admission.top()
    assert len(top) == TOP_SOURCES
    assert (top[0]["source"], top[0]["refused"]) == ("192.0.2.1", MAX_REFUSED + 500)
    assert len(admission._refused) == MAX_REFUSED


def test_an_allowance_is_asked_for_once_and_settled_for_many(admission: Admission, clock: SetClock) -> None:
    gate = admission.gate("192.0.2.1")
    assert gate.allowance() == (10.0, 1_000.0)
    gate.settle(4, 100, 2, 50)
    assert gate.allowance() == (6.0, 900.0)
    clock.now += 0.25
    assert gate.allowance() == (8.5, 1_000.0)
    assert admission.take_dropped() == 2
    admission.apply(**settings(max_records_per_second=2))
    assert admission.gate("192.0.2.1").allowance() == (2.0, inf)


def test_the_log_says_at_once_that_datagrams_are_dropped_and_then_once_a_minute(
    admission: Admission, clock: SetClock
) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            taken(admission, "192.0.2.1", [1] * 15)
            admission.take_dropped()
            clock.now += 25
        clock.now += 0.5
        taken(admission, "192.0.2.2", [1] * 11)
        admission.take_dropped()
    assert [(line["rate_limited"], line["not_allowed"], line["most_from"]) for line in lines] == [
        (5, 0, "192.0.2.1"),
        (5 + 5 + 1, 0, "192.0.2.1"),
    ]
