"""Inputs with real sockets, on both event loops the daemon runs on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop
from manual_spool import ManualSpool

from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.tcp import TcpInput
from logstreamd.inputs.udp import UdpInput
from logstreamd.metrics import Metrics


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Listening:
    """An input on a port of its own, with everything behind it."""

    def __init__(self, *, drop: bool, rows: int, nbytes: int, age: float) -> None:
        self.spool = ManualSpool(prompt=True)
        self.metrics = Metrics(version="test", wire="python")
        self.gatherer = Gatherer(
            "in",
            self.spool.append,
            self.metrics,
            max_rows=rows,
            max_bytes=nbytes,
            max_age_seconds=age,
            drop_when_full=drop,
        )
        self.input: Any = None
        self.metrics.watch_input(
            "in",
            in_flight=self.gatherer.count_in_flight,
            spooled=lambda: sum(map(len, self.spool.kept)),
        )

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.input.endpoints[0].rpartition(":")
        return host.strip("[]"), int(port)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"logstreamd_{name}", {"input": "in", **labels}) or 0.0

    async def received(self, frames: int) -> None:
        """Wait for the input to have read so many; a test that waits in vain ends by its timeout."""
        while self.count("received_frames_total") < frames:
            await asyncio.sleep(0.001)

    async def reaches(self, name: str, value: float, **labels: str) -> None:
        """Wait for a metric."""
        while self.count(name, **labels) != value:
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        await self.input.stop()
        await self.gatherer.flush(5)
        assert self.metrics.ledger("in").imbalance == 0


@pytest.fixture
async def listen_tcp() -> AsyncIterator[Callable[..., Any]]:
    started: list[Listening] = []

    async def listen(
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        rows: int = 1000,
        nbytes: int = 1 << 20,
        age: float = 0.001,
        **limits: Any,
    ) -> Listening:
        one = Listening(drop=False, rows=rows, nbytes=nbytes, age=age)
        defaults = {
            "max_frame_bytes": 4096,
            "max_connections": 100,
            "idle_timeout_seconds": 0,
            "frame_deadline_seconds": 3600,
        }
        one.input = TcpInput(one.gatherer, one.metrics, host=host, port=port, **{**defaults, **limits})
        await one.input.start()
        started.append(one)
        return one

    yield listen
    for one in started:
        await one.input.stop()


@pytest.fixture
async def listen_udp() -> AsyncIterator[Callable[..., Any]]:
    started: list[Listening] = []

    async def listen(
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        rows: int = 1000,
        nbytes: int = 1 << 20,
        receive_buffer_bytes: int = 1 << 22,
        max_frame_bytes: int = 65_536,
    ) -> Listening:
        one = Listening(drop=True, rows=rows, nbytes=nbytes, age=0.001)
        one.input = UdpInput(
            one.gatherer,
            one.metrics,
            host=host,
            port=port,
            max_frame_bytes=max_frame_bytes,
            receive_buffer_bytes=receive_buffer_bytes,
        )
        await one.input.start()
        started.append(one)
        return one

    yield listen
    for one in started:
        await one.input.stop()


@pytest.fixture
def has_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
