"""``fleet``: trucks and edge nodes that send telemetry, and keep it while the receiver is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from generator.breaker import CircuitBreaker
from generator.http_client import HttpClient
from generator.identifiers import Identifiers
from generator.options import Option, SettingsError, read_options
from generator.scenarios.fleet.buffer import Buffer
from generator.scenarios.fleet.edge_node import EdgeNode
from generator.scenarios.fleet.machines import Truck
from generator.stop import Stop
from generator.terminal import show, tell
from generator.values import read_count, read_duration, read_http_url, read_path

__all__ = ["OPTIONS", "run"]

OPTIONS: tuple[Option, ...] = (
    Option("url", "LOGSTREAMD_URL", read_http_url, "where logstreamd takes lines", "http://127.0.0.1:8514"),
    Option("nodes", "FLEET_NODES", read_count(1, 100), "edge nodes", "2"),
    Option("trucks", "FLEET_TRUCKS", read_count(1, 1_000), "trucks of each node", "5"),
    Option("interval", "FLEET_INTERVAL", read_duration, "between two rounds of polling", "1s"),
    Option(
        "buffer_dir", "FLEET_BUFFER_DIR", read_path, "where lines wait while the receiver is away", "./fleet-buffer"
    ),
    Option(
        "buffer_bytes",
        "FLEET_BUFFER_BYTES",
        read_count(1_000, 1 << 30),
        "room for each node; then polling waits",
        "16777216",
    ),
    Option("seed", "SEED", read_count(0, 2**53), "repeat what was measured in the run that had this seed"),
    Option("duration", "LOG_DURATION", read_duration, "end after this time"),
)

_FAILURES_TO_OPEN = 3
_OPEN_SECONDS = 2.0  # until it is tried whether the receiver is back
_TIMEOUT_SECONDS = 2.0  # the nodes take turns; one that waits for an answer holds up the others


def run(flags: Mapping[str, Any], environment: Mapping[str, str], stop: Stop) -> int:
    """Poll and forward until told to stop.

    Returns:
        1 when lines were refused or wait for the next run, else 0.

    Raises:
        SettingsError: the settings can't be used, or the directory of the buffers.
    """
    values = read_options(OPTIONS, flags, environment)
    with ExitStack() as cleanup:
        try:
            nodes = _make_nodes(values, cleanup)
        except (OSError, ValueError) as problem:
            raise SettingsError([f"--buffer-dir: {problem}"]) from problem
        _play(nodes, values["interval"], values["duration"], stop)
        for node in nodes:
            node.forward()
    show("".join(_describe(node) for node in nodes))
    return int(any(node.delivery.refused or len(node.buffer) for node in nodes))


def _make_nodes(values: Mapping[str, Any], cleanup: ExitStack) -> list[EdgeNode]:
    rng = Random(SystemRandom().getrandbits(53) if values["seed"] is None else values["seed"])  # noqa: S311
    identifiers = Identifiers(rng)
    nodes = []
    for number in range(1, values["nodes"] + 1):
        name = f"edge-{number}"
        first = (number - 1) * values["trucks"] + 1
        node = EdgeNode(
            name,
            [Truck(f"truck-{truck:02}", rng) for truck in range(first, first + values["trucks"])],
            buffer=Buffer(Path(values["buffer_dir"]), name, max_bytes=values["buffer_bytes"]),
            client=HttpClient(values["url"], timeout_seconds=_TIMEOUT_SECONDS),
            make_breaker=partial(_make_breaker, name),
            identifiers=identifiers,
        )
        cleanup.callback(node.close)
        nodes.append(node)
    return nodes


def _make_breaker(name: str, note: Callable[[str], None]) -> CircuitBreaker:
    def tell_both(text: str) -> None:
        note(text)
        tell(f"{name}: {text}")

    return CircuitBreaker(
        failures_to_open=_FAILURES_TO_OPEN, open_seconds=_OPEN_SECONDS, clock=time.monotonic, tell=tell_both
    )


def _play(nodes: Sequence[EdgeNode], interval: float, duration: float | None, stop: Stop) -> None:
    """Let rounds come when they are due; one that is late does not put off the next."""
    started_at = time.monotonic()
    rounds = 0
    while not stop.requested:
        elapsed = time.monotonic() - started_at
        if duration is not None and elapsed >= duration:
            return
        if elapsed >= rounds * interval:
            rounds += 1
            for node in nodes:
                node.poll(interval)
        for node in nodes:
            node.forward()
        next_at = min(rounds * interval, duration or rounds * interval)
        stop.wait(next_at - (time.monotonic() - started_at))


def _describe(node: EdgeNode) -> str:
    delivery = node.delivery
    held_back = f", {delivery.rounds_held_back:,} rounds held back" if delivery.rounds_held_back else ""
    return (
        f"{node.machine_id}: delivered {delivery.delivered:,}, refused {delivery.refused:,},"
        f" retried {delivery.retried:,}, {len(node.buffer):,} lines wait for the next run{held_back}\n"
    )
