"""What can be configured: every setting with its type, its default and its bounds.

The models are frozen, refuse unknown keys, and hold what a part needs without further reading: seconds as
float, sizes in bytes, the state directory expanded, every input with its name and its zone. How the values
get here from YAML and the environment is ``load``'s business; ``Config()`` alone is the built-in default.

Bounds protect the process and its neighbours from a slip of the pen; each says why it lies where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from logstreamd.config import consistency
from logstreamd.config.address import ListenAddress
from logstreamd.config.alerting import AlertsConfig
from logstreamd.config.dsn import EMBEDDED, read_dsn, redacted
from logstreamd.config.http import HttpConfig
from logstreamd.config.inputs import FileInput, Input, MirrorConfig, TcpInput, TlsInput, UdpInput, UnixInput, ZoneName
from logstreamd.config.names import read_file_path, read_state_dir
from logstreamd.config.retention import RetentionConfig
from logstreamd.config.section import Section
from logstreamd.config.tracing import TracingConfig
from logstreamd.config.units import GIB, KIB, MIB, TIB, Duration, Size, WholeNumber

__all__ = [
    "AlertsConfig",
    "Config",
    "DatabaseConfig",
    "FileInput",
    "HttpConfig",
    "Input",
    "LogConfig",
    "MirrorConfig",
    "RetentionConfig",
    "Section",
    "SpoolConfig",
    "TcpInput",
    "TimestampsConfig",
    "TlsInput",
    "TracingConfig",
    "UdpInput",
    "UnixInput",
    "WriterConfig",
]

_DAY_SECONDS = 86_400.0


class DatabaseConfig(Section):
    """Which PostgreSQL, and how long to wait for it."""

    dsn: Annotated[str, PlainValidator(read_dsn)] = EMBEDDED
    password_file: Annotated[Path | None, PlainValidator(read_file_path)] = None
    # Upper bound: a database that takes longer to answer is down, and the retry is the better wait.
    connect_timeout_seconds: Annotated[float, Duration(1, 300)] = 10.0
    # Lower bound: 16,384 rows take some 40 ms to store; below a second every hiccup would be an error.
    statement_timeout_seconds: Annotated[float, Duration(1, 3600)] = 30.0
    # Upper bound: whoever waits for a table's lock holds up everybody who comes after him.
    lock_timeout_seconds: Annotated[float, Duration(0.1, 60)] = 10.0
    # Upper bound: a person who waits for an answer has asked again by then.
    pool_timeout_seconds: Annotated[float, Duration(0.1, 60)] = 5.0

    @property
    def embedded(self) -> bool:
        """Whether the daemon runs its own PostgreSQL."""
        return self.dsn == EMBEDDED

    @property
    def redacted_dsn(self) -> str:
        """The DSN as it may be shown: its password replaced."""
        return redacted(self.dsn)

    @model_validator(mode="after")
    def _check_itself(self) -> DatabaseConfig:
        consistency.check_password_file(self)
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, self.redacted_dsn if name == "dsn" else value


class TimestampsConfig(Section):
    """How an event's own time is read, and how far from its arrival it is believed."""

    default_zone: ZoneName = "UTC"
    # Upper bound: every day of it may become a partition, and a year of those is what PostgreSQL plans over with ease.
    max_past: Annotated[float, Duration(0, 366 * _DAY_SECONDS, bare=False)] = 7 * _DAY_SECONDS
    # Upper bound: partitions are made two days ahead; a day leaves the other one for a late maintenance task.
    max_future: Annotated[float, Duration(0, _DAY_SECONDS, bare=False)] = 600.0


class WriterConfig(Section):
    """How batches are gathered and stored."""

    # Upper bound: two already wait for nothing but PostgreSQL; 16 serve one that is far away.
    connections: Annotated[int, WholeNumber(1, 16)] = 2
    # Upper bound: a row's id is batch number x 65536 + its position in the batch.
    batch_max_rows: Annotated[int, WholeNumber(1, 65_535)] = 16_384
    # Lower bound: the smallest max_frame_bytes. Upper bound: one batch is one transaction of the spool, whose log of at
    # most 64 MiB must hold two.
    batch_max_bytes: Annotated[int, Size(KIB, 16 * MIB)] = 2 * MIB
    # Lower bound: the timer's own resolution. Upper bound: a minute is the longest a line should stay invisible.
    batch_max_age_seconds: Annotated[float, Duration(0.001, 60)] = 0.1
    # How long a stop may go on storing before the rest is left to the spool. Below systemd's 90 s and
    # Kubernetes' 30 s by default, so that the end is ours and not SIGKILL's.
    drain_timeout_seconds: Annotated[float, Duration(0.1, 600, zero_means="not at all")] = 20.0


class SpoolConfig(Section):
    """Batches on disk until they are stored."""

    # Lower bound: six full batches of the default size, see ``consistency``. Upper bound: within SQLite's 2^32 pages of
    # 8 KiB, and more than any disk a spool should have.
    max_bytes: Annotated[int, Size(16 * MIB, 8 * TIB)] = 4 * GIB
    sync: Literal["batch", "interval", "memory"] = "batch"
    # Lower bound: what a disk needs for a sync. Upper bound: a sender waits for it where it is promised an answer.
    interval_seconds: Annotated[float, Duration(0.01, 10)] = 0.2
    # Upper bound: it is memory.
    window_bytes: Annotated[int, Size(KIB, 16 * GIB)] = 64 * MIB

    @model_validator(mode="after")
    def _check_itself(self) -> SpoolConfig:
        consistency.check_spool_window(self)
        return self


class LogConfig(Section):
    """The daemon's own log."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


_DEFAULT_INPUTS: tuple[UdpInput | TcpInput, ...] = (
    UdpInput(listen=ListenAddress("127.0.0.1", 5514)),
    TcpInput(listen=ListenAddress("127.0.0.1", 5514)),
)


class Config(Section):
    """Everything the daemon is told. A section is checked against the ones above it."""

    model_config = ConfigDict(validate_default=True)

    state_dir: Annotated[Path, PlainValidator(read_state_dir)] = Path("~/.local/state/logstreamd")
    database: DatabaseConfig = DatabaseConfig()
    timestamps: TimestampsConfig = TimestampsConfig()
    # Upper bound: an input is a task, a socket and a label of every input metric. None at all leaves HTTP.
    inputs: Annotated[tuple[Input, ...], Field(max_length=64)] = _DEFAULT_INPUTS
    http: HttpConfig = HttpConfig()
    writer: WriterConfig = WriterConfig()
    spool: SpoolConfig = SpoolConfig()
    retention: RetentionConfig = RetentionConfig()
    alerts: AlertsConfig = AlertsConfig()
    log: LogConfig = LogConfig()
    tracing: TracingConfig = TracingConfig()

    def redacted(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values for logs and people: without the password."""
        plain = self.model_dump(mode="json")
        plain["database"]["dsn"] = self.database.redacted_dsn
        return plain

    @field_validator("inputs")
    @classmethod
    def _complete_inputs(cls, inputs: tuple[Input, ...], info: ValidationInfo) -> tuple[Input, ...]:
        consistency.check_inputs(inputs)
        timestamps: TimestampsConfig = info.data.get("timestamps", TimestampsConfig())
        return tuple(
            one.model_copy(update={"name": name, "zone": one.zone or timestamps.default_zone})
            for one, name in zip(inputs, consistency.input_names(inputs), strict=True)
        )

    @field_validator("http")
    @classmethod
    def _check_http(cls, http: HttpConfig, info: ValidationInfo) -> HttpConfig:
        consistency.check_http_address(http, info.data.get("inputs", ()))
        return http

    @field_validator("writer")
    @classmethod
    def _check_writer(cls, writer: WriterConfig, info: ValidationInfo) -> WriterConfig:
        consistency.check_batch_holds_frames(writer, info.data.get("inputs", ()))
        return writer

    @field_validator("spool")
    @classmethod
    def _check_spool(cls, spool: SpoolConfig, info: ValidationInfo) -> SpoolConfig:
        if "writer" in info.data:
            consistency.check_window_feeds_writer(spool, info.data["writer"])
            consistency.check_spool_holds_batches(spool, info.data["writer"], info.data.get("inputs", ()))
        consistency.check_spool_keeps_positions(spool, info.data.get("inputs", ()))
        return spool

    @field_validator("retention")
    @classmethod
    def _check_retention(cls, retention: RetentionConfig, info: ValidationInfo) -> RetentionConfig:
        if "timestamps" in info.data:
            consistency.check_retention_covers_past(retention, info.data["timestamps"])
        return retention
