"""The receiving half of a daemon: the inputs, the spool they fill, and the books kept about both.

The spool is there before the first input and goes after the last one; what the inputs had gathered when they stopped
is brought to it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from logstreamd.config import HTTP_INPUT, Config
from logstreamd.config import FileInput as FileInputConfig
from logstreamd.config import UnixInput as UnixInputConfig
from logstreamd.daemon.material import Material
from logstreamd.daemon.reload import Change
from logstreamd.daemon.running_inputs import RunningInputs
from logstreamd.daemon.supervisor import Supervisor
from logstreamd.inputs.build import InputConfig, ReceivingInput
from logstreamd.inputs.files import FileInput
from logstreamd.inputs.http import HttpInput, HttpLimits
from logstreamd.inputs.tcp import TcpInput
from logstreamd.inputs.tls import TlsInput
from logstreamd.inputs.udp import UdpInput
from logstreamd.inputs.unix import UnixInput
from logstreamd.metrics import Metrics
from logstreamd.spool import CorruptionReport, DiskSpool, MemorySpool, SpoolTrouble
from logstreamd.wire.policy import Policy

__all__ = ["Intake"]

_log = structlog.get_logger(__name__)
_COUNT_DROPS_SECONDS = 1.0
_TYPES = {UdpInput: "udp", TcpInput: "tcp", TlsInput: "tls", UnixInput: "unix", FileInput: "file"}


class Intake:
    """Receives.

    Args:
        material: the configuration of inputs and spool, and how batches are gathered.
        metrics: counted by every part.
        supervisor: watches the background tasks.

    Attributes:
        spool: what was received and is not stored yet.
    """

    def __init__(self, material: Material, metrics: Metrics, supervisor: Supervisor) -> None:
        config = material.config
        self.spool = _build_spool(config)
        self._material = material
        self._metrics = metrics
        self._supervisor = supervisor
        self._spool_opened = False
        self._watched: set[str] = set()
        self._policies: dict[str, Policy] = {}
        self._take_policies(config)
        self._running = RunningInputs(
            self.spool, metrics, supervisor, policy_of=self.policy_of, on_open=self._watch_input
        )
        self._http_input: HttpInput | None = None

    @property
    def inputs(self) -> list[ReceivingInput]:
        """The inputs that listen, in the order of the configuration; always the same list."""
        return self._running.inputs

    @property
    def listening(self) -> list[str]:
        """Where messages can be sent to, and what is followed, for people."""
        return [f"{_TYPES[type(one)]} {where}" for one in self.inputs for where in one.endpoints]

    def held_back(self) -> dict[str, list[dict[str, Any]]]:
        """Return from whom most was kept, for each input that kept something from anybody."""
        found = {one.name: one.admission.top() for one in self.inputs if not isinstance(one, FileInput)}
        return {name: top for name, top in found.items() if top}

    def policy_of(self, name: str) -> Policy:
        """Return how the messages of an input are read; also of one that is no longer configured."""
        return self._policies.get(name, self._default_policy)

    def _take_policies(self, config: Config) -> None:
        """Read messages by a configuration; those of an input that is gone are read as they were meant to be."""
        self._policies |= {one.name: _policy(config, one) for one in config.inputs}
        self._default_policy = _policy(config, None)

    async def open_spool(self) -> None:
        """Find what an earlier run left.

        Raises:
            SpoolError: the spool can't be used.
        """
        self.spool.on_corruption(self._on_corruption)
        await self.spool.open()
        self._spool_opened = True

    async def close_spool(self) -> None:
        """Make everything durable, and say what waits for the next start."""
        left = sum(self.spool.frames_by_input().values())
        await self.spool.close()
        if left and isinstance(self.spool, MemorySpool):
            _log.error("messages lost: the spool is in memory only", frames=left)
        elif left:
            _log.warning("messages left in the spool for the next start", frames=left)

    async def start_inputs(self) -> None:
        """Listen, and keep the books.

        Raises:
            OSError: an address can't be bound.
        """
        await self._running.start(self._material)
        for name in self.spool.recovered_by_input.keys() - {HTTP_INPUT}:
            self._watch_input(name)  # of one that is no longer configured
        self.spool.on_room(self._on_room)
        self._supervisor.start("intake's books", self._keep_books())

    async def stop_inputs(self) -> None:
        """Stop accepting, the last one first, and bring what was gathered to the spool."""
        await self._running.stop()

    async def prepare(self, change: Change) -> None:
        """Prepare other inputs, other limits and other rules about times."""

        async def take_settings() -> None:
            self._take_policies(change.new.config)
            if self._http_input is not None:
                self._http_input.limits = _http_limits(change.new.config)

        change.at_commit(take_settings)
        await self._running.prepare(change)

    def build_http_input(self) -> HttpInput:
        """Return what takes batches over HTTP; the API owns the socket."""
        http_input = HttpInput(HTTP_INPUT, self.spool.append, self._metrics, _http_limits(self._material.config))
        self._watch_ledger(HTTP_INPUT, http_input.count_in_flight)
        self._http_input = http_input
        return http_input

    async def _keep_books(self) -> None:
        """Count, for ever, what the kernel threw away, and how full the spool is; say so when it takes no more."""
        trouble = SpoolTrouble()
        while True:
            self.refresh_metrics()
            trouble.look(self.spool.stats(), time.monotonic())
            await asyncio.sleep(_COUNT_DROPS_SECONDS)

    def refresh_metrics(self) -> None:
        """Bring the metrics up to date that are not counted as things happen."""
        for one in self.inputs:
            if isinstance(one, UdpInput):
                one.count_kernel_drops()
        stats = self.spool.stats()
        self._metrics.show_spool(
            batches=stats.batches,
            file_bytes=stats.file_bytes,
            max_bytes=stats.max_bytes,
            window_bytes=stats.window_bytes,
            oldest_age_seconds=stats.oldest_age_seconds,
            full=stats.full,
        )

    def _on_corruption(self, report: CorruptionReport) -> None:
        _log.error(
            "spool corrupt",
            reason=report.reason,
            kept_in=str(report.kept_in) if report.kept_in else None,
            batches=report.batches,
            frames=report.frames_by_input,
        )
        self._metrics.spool_corrupt_records.inc(report.batches)
        for name, frames in report.frames_by_input.items():
            self._metrics.dropped_frames.labels(name, "spool_corrupt").inc(frames)
            if not self._spool_opened:  # an earlier run left them; the spool does not count what it can't give out
                self._metrics.recovered_frames.labels(name).inc(frames)

    def _on_room(self, room: bool) -> None:
        if room:
            self._running.room()

    def _watch_input(self, name: str) -> None:
        """Open the ledger of an input, unless one of its name has run before: that one goes on."""
        if name not in self._watched:
            self._watched.add(name)
            self._watch_ledger(name, lambda: self._running.count_in_flight(name))

    def _watch_ledger(self, name: str, in_flight: Callable[[], int]) -> None:
        self._metrics.watch_input(name, in_flight=in_flight, spooled=lambda: self.spool.frames_by_input().get(name, 0))
        self._metrics.recovered_frames.labels(name).inc(self.spool.recovered_by_input.get(name, 0))


def _policy(config: Config, one: InputConfig | None) -> Policy:
    """Return how the messages of an input are read; of none: those of an input that is no longer configured."""
    return Policy(
        zone=ZoneInfo(config.timestamps.default_zone if one is None else one.zone),
        max_past_us=round(config.timestamps.max_past * 1_000_000),
        max_future_us=round(config.timestamps.max_future * 1_000_000),
        service=one.service if isinstance(one, FileInputConfig) else None,
        host=socket.gethostname() if isinstance(one, UnixInputConfig) else None,
    )


def _http_limits(config: Config) -> HttpLimits:
    return HttpLimits(
        max_rows=config.writer.batch_max_rows,
        max_bytes=config.writer.batch_max_bytes,
        max_body_bytes=config.http.max_decompressed_bytes,
        max_lines=config.http.max_lines,
    )


def _build_spool(config: Config) -> DiskSpool | MemorySpool:
    spool = config.spool
    if spool.sync == "memory":
        return MemorySpool(window_bytes=spool.window_bytes)
    return DiskSpool(
        directory=config.state_dir / "spool",
        max_bytes=spool.max_bytes,
        window_bytes=spool.window_bytes,
        sync=spool.sync,
        interval_seconds=spool.interval_seconds,
    )
