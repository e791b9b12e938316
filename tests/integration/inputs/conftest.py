"""Inputs with real sockets, on both event loops the daemon runs on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop
from manual_spool import ManualSpool

from logstreamd.inputs.admission import Admission
from logstreamd.inputs.connection import StreamLimits
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.tcp import TcpInput
from logstreamd.inputs.tls import TlsInput
from logstreamd.inputs.udp import UdpInput
from logstreamd.inputs.unix import UnixInput
from logstreamd.metrics import Metrics


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def stream_limits(**limits: Any) -> StreamLimits:
    """Limits that no test meets by accident."""
    defaults = {
        "max_frame_bytes": 4096,
        "max_connections": 100,
        "idle_timeout_seconds": 0,
        "frame_deadline_seconds": 3600,
    }
    return StreamLimits(**{**defaults, **limits})


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

    def listen_stream(
        self,
        host: str,
        port: int,
        admission: dict[str, Any],
        sweep_seconds: float,
        limits: dict[str, Any],
        tls: dict[str, Any],
    ) -> None:
        """Make it an input for connections: with ``tls`` one of type tls."""
        settings: dict[str, Any] = {
            "host": host,
            "port": port,
            "limits": stream_limits(**limits),
            "sweep_seconds": sweep_seconds,
        }
        kind = TlsInput if tls else TcpInput
        self.input = kind(self.gatherer, self.metrics, Admission("in", self.metrics, **admission), **settings, **tls)

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
        admission: dict[str, Any] | None = None,
        sweep_seconds: float = 1.0,
        tls: dict[str, Any] | None = None,
        **limits: Any,
    ) -> Listening:
        one = Listening(drop=False, rows=rows, nbytes=nbytes, age=age)
        one.listen_stream(host, port, admission or {}, sweep_seconds, limits, tls or {})
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
        **admission: Any,
    ) -> Listening:
        one = Listening(drop=True, rows=rows, nbytes=nbytes, age=0.001)
        one.input = UdpInput(
            one.gatherer,
            one.metrics,
            Admission("in", one.metrics, **admission),
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
async def listen_unix(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    started: list[Listening] = []

    async def listen(
        path: Path | None = None,
        *,
        rows: int = 1000,
        mode: int = 0o600,
        max_frame_bytes: int = 65_536,
        sockets: Sequence[socket.socket] = (),
        **admission: Any,
    ) -> Listening:
        one = Listening(drop=False, rows=rows, nbytes=1 << 20, age=0.001)
        one.input = UnixInput(
            one.gatherer,
            Admission("in", one.metrics, **admission),
            path=path or tmp_path / "log",
            mode=mode,
            max_frame_bytes=max_frame_bytes,
        )
        await one.input.start(sockets)
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
