"""The settings of inputs, by type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PlainValidator

from logstreamd.config.address import ListenAddress
from logstreamd.config.admission import AdmissionSection, LimitsSection
from logstreamd.config.names import read_directory, read_name, read_patterns, read_service, read_zone
from logstreamd.config.section import Section
from logstreamd.config.socket_path import SocketPath, read_mode
from logstreamd.config.tls import InputTlsConfig
from logstreamd.config.units import GIB, KIB, MIB, Duration, Size, WholeNumber

__all__ = [
    "FileInput",
    "Input",
    "MirrorConfig",
    "StreamSection",
    "TcpInput",
    "TlsInput",
    "UdpInput",
    "UnixInput",
    "ZoneName",
]

_DAY_SECONDS = 86_400.0

ZoneName: TypeAlias = Annotated[str, PlainValidator(read_zone)]
InputName: TypeAlias = Annotated[str, PlainValidator(read_name)]


class _InputSection(Section):
    """What every input has."""

    name: InputName = ""
    """The metrics' label and the column ``input``. Not given: the type, numbered where taken."""
    zone: ZoneName = ""
    """Zone of stamps that carry none. Not given: ``timestamps.default_zone``."""
    # Lower bound: RFC 5424 section 6.1 obliges a receiver to 480 bytes and advises 2048; 1 KiB serves small
    # devices. Upper bound: half of a batch's default bytes; larger things than a log line belong elsewhere.
    max_frame_bytes: Annotated[int, Size(KIB, MIB)] = 64 * KIB


class UdpInput(_InputSection, AdmissionSection):
    """Datagrams, one message each (RFC 5426)."""

    listen: ListenAddress

    type: Literal["udp"] = "udp"
    # Lower bound: one datagram of the largest size. Upper bound: the kernel doubles the value in a 32-bit integer.
    receive_buffer_bytes: Annotated[int, Size(64 * KIB, 512 * MIB)] = 16 * MIB


class StreamSection(_InputSection, AdmissionSection):
    """What every input has that accepts connections."""

    listen: ListenAddress

    # Upper bound: the shipped unit's LimitNOFILE=65536, less what the rest of the daemon opens.
    max_connections: Annotated[int, WholeNumber(1, 65_000)] = 1000
    # 0 for no such limit. Upper bound: the one above.
    max_connections_per_peer: Annotated[int, WholeNumber(0, 65_000)] = 0
    # Lower bound: below a second a sender that pauses between two lines would be cut off. Upper bound: a week; use 0.
    idle_timeout_seconds: Annotated[float, Duration(1, 7 * _DAY_SECONDS, zero_means="never")] = 600.0
    # From a frame's first byte to its last. Upper bound: an hour of holding half a frame is an attack, not a slow line.
    frame_deadline_seconds: Annotated[float, Duration(1, 3600)] = 30.0


class TcpInput(StreamSection):
    """Connections, octet-counted or newline-framed messages mixed as they come (RFC 6587)."""

    type: Literal["tcp"] = "tcp"


class TlsInput(StreamSection):
    """The same over TLS (RFC 5425)."""

    type: Literal["tls"] = "tls"
    tls: InputTlsConfig


class UnixInput(_InputSection, LimitsSection):
    """Datagrams of this machine's own processes at a path, as ``syslog()`` sends them to ``/dev/log``.

    A limit holds for a user. There is no receive buffer to ask for: the kernel makes senders wait.
    """

    listen: SocketPath

    type: Literal["unix"] = "unix"
    mode: Annotated[str, PlainValidator(read_mode)] = "0666"
    """Who may write to it."""


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


Input: TypeAlias = Annotated[UdpInput | TcpInput | TlsInput | UnixInput | FileInput, Field(discriminator="type")]
