from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from random import Random

import pytest

from generator.breaker import CircuitBreaker
from generator.http_client import HttpClient
from generator.identifiers import Identifiers
from generator.scenarios.fleet.buffer import Buffer
from generator.scenarios.fleet.edge_node import EdgeNode
from generator.scenarios.fleet.machines import Truck
from tests.unit.generator.fake_time import FakeStop


def open_buffer(directory: Path, max_bytes: int = 10_000) -> Buffer:
    return Buffer(directory, "edge-1", max_bytes=max_bytes)


def all_of(buffer: Buffer) -> list[str]:
    lines: list[str] = []
    while batch := buffer.next_batch(3):
        lines += batch.lines
        buffer.note_delivered(batch.last)
    return lines


def test_lines_come_out_in_order(tmp_path: Path) -> None:
    buffer = open_buffer(tmp_path)
    assert buffer.try_append(["a", "b"])
    assert buffer.try_append(["c", "d é", "e"])
    assert all_of(buffer) == ["a", "b", "c", "d é", "e"]
    assert (len(buffer), buffer.next_batch(3)) == (0, None)
    assert (tmp_path / "edge-1.buffer").stat().st_size == 0
    buffer.close()


def test_a_batch_stays_what_it_is_until_it_is_delivered_also_after_a_crash(tmp_path: Path) -> None:
    buffer = open_buffer(tmp_path)
    buffer.try_append(["a", "b"])
    first = buffer.next_batch(3)
    buffer.try_append(["c"])
    assert buffer.next_batch(3) == first
    buffer.close()  # as a crash: nothing is written here
    buffer = open_buffer(tmp_path)
    buffer.try_append(["d"])
    assert buffer.next_batch(3) == first
    assert first is not None
    buffer.note_delivered(first.last)
    second = buffer.next_batch(3)
    assert second is not None
    assert second.lines == ["c", "d"]
    assert second.key != first.key
    buffer.close()


def test_what_was_delivered_does_not_come_back(tmp_path: Path) -> None:
    buffer = open_buffer(tmp_path)
    buffer.try_append(["a", "b", "c", "d"])
    batch = buffer.next_batch(3)
    assert batch is not None
    buffer.note_delivered(batch.last)
    buffer.close()
    buffer = open_buffer(tmp_path)
    assert buffer.next_number == 5
    assert all_of(buffer) == ["d"]
    buffer.close()


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_half_a_line_of_a_crash_was_never_taken(tmp_path: Path, cut: int) -> None:
    buffer = open_buffer(tmp_path)
    buffer.try_append(["aaaa", "bbbb"])
    buffer.close()
    path = tmp_path / "edge-1.buffer"
    os.truncate(path, path.stat().st_size - cut)
    buffer = open_buffer(tmp_path)
    assert buffer.next_number == 2
    buffer.try_append(["again"])
    assert all_of(buffer) == ["aaaa", "again"]
    buffer.close()


def test_a_full_buffer_takes_nothing_until_something_is_delivered(tmp_path: Path) -> None:
    buffer = open_buffer(tmp_path, max_bytes=100)
    assert buffer.try_append(["x" * 40, "y" * 40])
    assert not buffer.try_append(["z" * 40])
    assert (tmp_path / "edge-1.buffer").stat().st_size <= 100
    batch = buffer.next_batch(1)
    assert batch is not None
    buffer.note_delivered(batch.last)
    assert buffer.try_append(["z" * 40]), "the delivered line's room is used again"
    assert (tmp_path / "edge-1.buffer").stat().st_size <= 100
    assert all_of(buffer) == ["y" * 40, "z" * 40]
    buffer.close()


def test_a_buffer_belongs_to_one_process(tmp_path: Path) -> None:
    buffer = open_buffer(tmp_path)
    with pytest.raises(OSError, match="in use by another process"):
        open_buffer(tmp_path)
    buffer.close()
    open_buffer(tmp_path).close()


def make_node(directory: Path, stop: FakeStop, max_bytes: int = 100_000) -> EdgeNode:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    rng = Random(1)
    return EdgeNode(
        "edge-1",
        [Truck("truck-01", rng), Truck("truck-02", rng)],
        buffer=Buffer(directory, "edge-1", max_bytes=max_bytes),
        client=HttpClient(f"http://127.0.0.1:{port}"),
        make_breaker=lambda note: CircuitBreaker(failures_to_open=3, open_seconds=2, clock=stop.clock, tell=note),
        identifiers=Identifiers(rng),
    )


def test_ids_of_machine_sample_and_request_correlate(tmp_path: Path, stop: FakeStop) -> None:
    node = make_node(tmp_path, stop)
    node.poll(1)
    node.poll(1)
    lines = [json.loads(line) for line in all_of(node.buffer)]
    node.close()
    assert [line["machine_id"] for line in lines] == ["truck-01", "truck-02", "edge-1"] * 2
    assert [line["sample_id"] for line in lines] == [f"{line['machine_id']}-{n:08}" for n, line in enumerate(lines, 1)]
    assert len({line["request_id"] for line in lines[:3]}) == len({line["request_id"] for line in lines[3:]}) == 1
    assert lines[0]["request_id"] != lines[3]["request_id"]


def test_what_the_circuit_does_is_in_the_telemetry_too(tmp_path: Path, stop: FakeStop) -> None:
    node = make_node(tmp_path, stop)
    for _ in range(4):
        node.poll(1)
        node.forward()
    node.poll(1)
    messages = [json.loads(line)["message"] for line in all_of(node.buffer)]
    node.close()
    assert sum(message.startswith("circuit open") for message in messages) == 1
    assert node.delivery.retried == 6, "the first batch, twice more until the circuit opened"


def test_polling_waits_while_the_buffer_is_full_and_that_is_counted(tmp_path: Path, stop: FakeStop) -> None:
    node = make_node(tmp_path, stop, max_bytes=1_500)
    for _ in range(5):
        node.poll(1)
    node.close()
    assert node.delivery.rounds_held_back == 4
    assert len(node.buffer) == 3
