"""The receiving half of a daemon: the inputs, the spool they fill, and the books kept about both.

The spool is there before the first input and goes after the last one; what the inputs had gathered when they stopped
is brought to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from zoneinfo import ZoneInfo

import structlog

from logstreamd.config import HTTP_INPUT, Config
from logstreamd.config import FileInput as FileInputConfig
from logstreamd.inputs.build import InputConfig, ReceivingInput, build_input
from logstreamd.inputs.files import FileInput
from logstreamd.inputs.http import HttpInput
from logstreamd.inputs.tcp import TcpInput
from logstreamd.inputs.udp import UdpInput
from logstreamd.metrics import Metrics
from logstreamd.spool import CorruptionReport, DiskSpool, MemorySpool
from logstreamd.wire.policy import Policy

__all__ = ["Intake", "policy_of"]

_log = structlog.get_logger(__name__)
_FLUSH_SECONDS = 5.0  # for the spool to take what the inputs had gathered
_COUNT_DROPS_SECONDS = 1.0
_TYPES = {UdpInput: "udp", TcpInput: "tcp", FileInput: "file"}


class Intake:
    """Receives.

    Args:
        config: the whole configuration: inputs, spool, and how batches are gathered.
        metrics: counted by every part.

    Attributes:
        spool: what was received and is not stored yet.
        inputs: those that listen, in the order of the configuration.
    """

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self.spool = _build_spool(config)
        self.inputs: list[ReceivingInput] = []
        self._config = config
        self._metrics = metrics
        self._spool_opened = False

    @property
    def listening(self) -> list[str]:
        """Where messages can be sent to, and what is followed, for people."""
        return [f"{_TYPES[type(one)]} {where}" for one in self.inputs for where in one.endpoints]

    @property
    def followers(self) -> list[FileInput]:
        """The inputs that read by themselves: each has a ``run`` to be started and watched."""
        return [one for one in self.inputs if isinstance(one, FileInput)]

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
        """Listen; those that do are in ``inputs`` also when a later one can't.

        Raises:
            OSError: an address can't be bound.
        """
        for config in self._config.inputs:
            one = build_input(
                config, self._config.writer, self.spool, self._metrics, policy=policy_of(self._config, config)
            )
            self._watch_ledger(one.name, one.gatherer.count_in_flight)
            await one.start()
            self.inputs.append(one)
            _log.info("listening", input=one.name, type=config.type, addresses=one.endpoints)
        for name in self.spool.recovered_by_input.keys() - {HTTP_INPUT, *(one.name for one in self.inputs)}:
            self._watch_ledger(name, lambda: 0)  # of an input that is no longer configured
        self.spool.on_room(self._on_room)

    async def stop_inputs(self) -> None:
        """Stop accepting, the last one first, and bring what was gathered to the spool."""
        for one in reversed(self.inputs):
            await one.stop()
            given_up = await one.gatherer.flush(_FLUSH_SECONDS)
            if given_up and isinstance(one, FileInput):
                _log.warning(
                    "the spool did not take what was read: the next run reads it", input=one.name, frames=given_up
                )
            elif given_up:
                _log.error("messages lost: the spool did not take them", input=one.name, frames=given_up)

    def build_http_input(self) -> HttpInput:
        """Return what takes batches over HTTP; the API owns the socket."""
        http, writer = self._config.http, self._config.writer
        http_input = HttpInput(
            HTTP_INPUT,
            self.spool.append,
            self._metrics,
            max_rows=writer.batch_max_rows,
            max_bytes=writer.batch_max_bytes,
            max_body_bytes=http.max_decompressed_bytes,
            max_lines=http.max_lines,
        )
        self._watch_ledger(HTTP_INPUT, http_input.count_in_flight)
        return http_input

    async def keep_books(self) -> None:
        """Count, for ever, what the kernel threw away, and how full the spool is."""
        while True:
            self.refresh_metrics()
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
            for one in self.inputs:
                one.gatherer.room()

    def _watch_ledger(self, name: str, in_flight: Callable[[], int]) -> None:
        self._metrics.watch_input(name, in_flight=in_flight, spooled=lambda: self.spool.frames_by_input().get(name, 0))
        self._metrics.recovered_frames.labels(name).inc(self.spool.recovered_by_input.get(name, 0))


def policy_of(config: Config, one: InputConfig | None) -> Policy:
    """Return how the messages of an input are read; of none: those of an input that is no longer configured."""
    return Policy(
        zone=ZoneInfo(config.timestamps.default_zone if one is None else one.zone),
        max_past_us=round(config.timestamps.max_past * 1_000_000),
        max_future_us=round(config.timestamps.max_future * 1_000_000),
        service=one.service if isinstance(one, FileInputConfig) else None,
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
