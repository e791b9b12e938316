"""What can be configured: every setting with its type, its default and its bounds.

The models are frozen, refuse unknown keys, and hold what a part needs without further reading: seconds as
float, sizes in bytes, the state directory expanded, every input with its name and its zone. How the values
get here from YAML and the environment is ``load``'s business; ``Config()`` alone is the built-in default.

Bounds protect the process and its neighbours from a slip of the pen; each says why it lies where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

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
from logstreamd.config.names import read_directory, read_name, read_patterns, read_service, read_state_dir, read_zone
from logstreamd.config.retention import RetentionConfig
from logstreamd.config.section import Section
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
    "UdpInput",
    "WriterConfig",
]

_DAY_SECONDS = 86_400.0


ZoneName: TypeAlias = Annotated[str, PlainValidator(read_zone)]
InputName: TypeAlias = Annotated[str, PlainValidator(read_name)]


class DatabaseConfig(Section):
    """Which PostgreSQL, and how long to wait for it."""

    dsn: Annotated[str, PlainValidator(read_dsn)] = EMBEDDED
    # Upper bound: a database that takes longer to answer is down, and the retry is the better wait.
    connect_timeout_seconds: Annotated[float, Duration(1, 300)] = 10.0
    # Lower bound: 16,384 rows take some 40 ms to store; below a second every hiccup would be an error.
    statement_timeout_seconds: Annotated[float, Duration(1, 3600)] = 30.0

    @property
    def embedded(self) -> bool:
        """Whether the daemon runs its own PostgreSQL."""
        return self.dsn == EMBEDDED

    @property
    def redacted_dsn(self) -> str:
        """The DSN as it may be shown: its password replaced."""
        return redacted(self.dsn)

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


class _InputSection(Section):
    """What every input has."""

    name: InputName = ""
    """The metrics' label and the column ``input``. Not given: the type, numbered where taken."""
    zone: ZoneName = ""
    """Zone of stamps that carry none. Not given: ``timestamps.default_zone``."""
    # Lower bound: RFC 5424 section 6.1 obliges a receiver to 480 bytes and advises 2048; 1 KiB serves small
    # devices. Upper bound: half of a batch's default bytes; larger things than a log line belong elsewhere.
    max_frame_bytes: Annotated[int, Size(KIB, MIB)] = 64 * KIB


class UdpInput(_InputSection):
    """Datagrams, one message each (RFC 5426)."""

    listen: ListenAddress

    type: Literal["udp"] = "udp"
    # Lower bound: one datagram of the largest size. Upper bound: the kernel doubles the value in a 32-bit integer.
    receive_buffer_bytes: Annotated[int, Size(64 * KIB, 512 * MIB)] = 16 * MIB


class TcpInput(_InputSection):
    """Connections, octet-counted or newline-framed messages mixed as they come (RFC 6587)."""

    listen: ListenAddress

    type: Literal["tcp"] = "tcp"
    # Upper bound: the shipped unit's LimitNOFILE=65536, less what the rest of the daemon opens.
    max_connections: Annotated[int, WholeNumber(1, 65_000)] = 1000
    # Lower bound: below a second a sender that pauses between two lines would be cut off. Upper bound: a week; use 0.
    idle_timeout_seconds: Annotated[float, Duration(1, 7 * _DAY_SECONDS, zero_means="never")] = 600.0
    # From a frame's first byte to its last. Upper bound: an hour of holding half a frame is an attack, not a slow line.
    frame_deadline_seconds: Annotated[float, Duration(1, 3600)] = 30.0


class MirrorConfig(Section):
    """A copy of what a file input collected, as files of JSON lines."""

    directory: Annotated[Path, PlainValidator(read_directory)]
    # Lower bound: one record of the largest size. Upper bound: what an editor still opens.
    max_bytes: Annotated[int, Size(2 * MIB, 16 * GIB)] = 64 * MIB
    # Upper bound: each one is renamed at every rotation.
    files: Annotated[int, WholeNumber(1, 100)] = 3


class FileInput(_InputSection):
    """Lines of log files, followed as they grow and are rotated."""

    type: Literal["file"] = "file"
    # Upper bound: every pattern is a walk through its directories at every look.
    paths: Annotated[tuple[str, ...], PlainValidator(read_patterns)]
    service: Annotated[str | None, PlainValidator(read_service)] = None
    """Whose lines are that name no service. Not given: the name of the file."""
    # Lower bound: a look at a thousand files takes 5 ms. Upper bound: the longest a new file should stay unseen.
    poll_interval_seconds: Annotated[float, Duration(0.1, 60)] = 1.0
    join_stack_traces: bool = True
    # How long the last record waits for more of it. Upper bound: so long a line stays invisible.
    join_timeout_seconds: Annotated[float, Duration(0.05, 60)] = 0.5
    # Upper bound: a trace longer than that is a loop.
    join_max_lines: Annotated[int, WholeNumber(2, 10_000)] = 500
    # Upper bound: a part of the shipped unit's LimitNOFILE=65536.
    max_open_files: Annotated[int, WholeNumber(1, 10_000)] = 256
    mirror: MirrorConfig | None = None

    @property
    def listen(self) -> str:
        """What it reads, as one word for messages."""
        return ",".join(self.paths)


Input: TypeAlias = Annotated[UdpInput | TcpInput | FileInput, Field(discriminator="type")]


class HttpConfig(Section):
    """The HTTP listener: ingest, search, metrics, the page."""

    listen: ListenAddress = ListenAddress("127.0.0.1", 8514)
    # Upper bounds of the two: a body is held in memory while it is read, compressed and not.
    max_body_bytes: Annotated[int, Size(KIB, 256 * MIB)] = 16 * MIB
    max_decompressed_bytes: Annotated[int, Size(KIB, GIB)] = 64 * MIB
    # Upper bound: the answer lists rejected lines, so a body of nothing else must stay an answer of reasonable size.
    max_lines: Annotated[int, WholeNumber(1, 1_000_000)] = 100_000
    # Upper bound: each one holds a connection, and PostgreSQL ships with 100 for everybody.
    max_concurrent_queries: Annotated[int, WholeNumber(1, 64)] = 8
    # Lower bound: what a plan over a year of partitions may take on a busy machine before it returns a row.
    query_timeout_seconds: Annotated[float, Duration(0.1, 600)] = 10.0
    # Upper bound: an answer is built in memory, and a row may be as large as max_frame_bytes; page with the cursor.
    max_rows: Annotated[int, WholeNumber(1, 10_000)] = 1000
    # Upper bound: an export is sent as it is read, a thousand rows at a time; 100 million take some twenty minutes.
    max_export_rows: Annotated[int, WholeNumber(1, 100_000_000)] = 1_000_000
    # Upper bound: each one may hold a MiB of rows that it has not read yet, and a socket.
    max_tail_clients: Annotated[int, WholeNumber(1, 1_000)] = 100

    @model_validator(mode="after")
    def _check_itself(self) -> HttpConfig:
        consistency.check_http_body(self)
        return self


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
