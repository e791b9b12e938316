"""What settings must hold together: each within its bounds, two of them can still contradict each other.

The checks raise ``ContradictionError``, a ValueError that names the settings by their full paths, so that the
problem can be shown at the one of them that was written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logstreamd.config.problems import KeyPath
from logstreamd.config.units import MIB, duration_text, size_text

if TYPE_CHECKING:
    from logstreamd.config.model import (
        DatabaseConfig,
        FileInput,
        HttpConfig,
        SpoolConfig,
        TcpInput,
        TimestampsConfig,
        TlsInput,
        UdpInput,
        UnixInput,
        WriterConfig,
    )
    from logstreamd.config.retention import RetentionConfig

    Inputs = Sequence[UdpInput | TcpInput | TlsInput | UnixInput | FileInput]

__all__ = [
    "HTTP_INPUT",
    "Contradiction",
    "ContradictionError",
    "check_batch_holds_frames",
    "check_http_address",
    "check_http_body",
    "check_inputs",
    "check_password_file",
    "check_retention_covers_past",
    "check_retention_rules",
    "check_spool_holds_batches",
    "check_spool_keeps_positions",
    "check_spool_window",
    "check_window_feeds_writer",
    "input_names",
]

HTTP_INPUT = "http"
"""The input name under which logs sent to the HTTP listener are counted; no other input may have it."""

_STREAMS = ("tcp", "tls")
"""Input types that listen for TCP connections: no two of them can have one address."""

_SPOOL_FULL_BATCHES = 6
"""A third of the spool's disk space is its log, and half of the log must hold a full batch."""

_TABLE_BYTES_PER_ROW = 16  # a batch's table beside the frames: 15, rounded up for what is once per batch


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Settings that cannot hold together, reported at the first of ``paths`` that was written down."""

    paths: tuple[KeyPath, ...]
    message: str


class ContradictionError(ValueError):
    """One or more contradictions found by one check."""

    def __init__(self, *found: Contradiction) -> None:
        self.found = found
        super().__init__("; ".join(contradiction.message for contradiction in found))


def check_inputs(inputs: Inputs) -> None:
    """Every name is used once, and no two inputs of a type want the same address."""
    found = (*_name_clashes(inputs), *_address_clashes(inputs))
    if found:
        raise ContradictionError(*found)


def check_password_file(database: DatabaseConfig) -> None:
    """A private PostgreSQL has no password."""
    if database.embedded and database.password_file is not None:
        path = ("database", "password_file")
        raise ContradictionError(Contradiction((path,), "the embedded PostgreSQL has no password; set database.dsn"))


def input_names(inputs: Inputs) -> tuple[str, ...]:
    """Return the inputs' names; who has none gets its type, numbered where taken: ``udp``, ``udp-2``."""
    taken = {one.name for one in inputs if one.name}
    names = []
    for one in inputs:
        name, number = one.name or one.type, 1
        while not one.name and name in taken:
            number += 1
            name = f"{one.type}-{number}"
        taken.add(name)
        names.append(name)
    return tuple(names)


def check_http_address(http: HttpConfig, inputs: Inputs) -> None:
    """The HTTP listener and the TCP inputs have addresses of their own."""
    for index, one in enumerate(inputs):
        if (one.type == "tcp" or one.type == "tls") and one.listen.overlaps(http.listen):
            raise ContradictionError(
                Contradiction(
                    (("http", "listen"), ("inputs", index, "listen")),
                    f"http.listen ({http.listen}) and input '{one.name}' ({one.listen}) cannot both have it",
                )
            )


def check_http_body(http: HttpConfig) -> None:
    """An uncompressed body is held to both limits, so the second must not undercut the first."""
    if http.max_decompressed_bytes < http.max_body_bytes:
        raise ContradictionError(
            Contradiction(
                (("http", "max_decompressed_bytes"), ("http", "max_body_bytes")),
                f"http.max_decompressed_bytes ({size_text(http.max_decompressed_bytes)}) must be at least "
                f"http.max_body_bytes ({size_text(http.max_body_bytes)})",
            )
        )


def check_batch_holds_frames(writer: WriterConfig, inputs: Inputs) -> None:
    """A batch has room for at least one frame of the largest size."""
    for index, one in enumerate(inputs):
        if writer.batch_max_bytes < one.max_frame_bytes:
            raise ContradictionError(
                Contradiction(
                    (("writer", "batch_max_bytes"), ("inputs", index, "max_frame_bytes")),
                    f"writer.batch_max_bytes ({size_text(writer.batch_max_bytes)}) must be at least "
                    f"max_frame_bytes of input '{one.name}' ({size_text(one.max_frame_bytes)})",
                )
            )


def check_spool_window(spool: SpoolConfig) -> None:
    """The window is the part of the spool that is also in memory."""
    if spool.window_bytes > spool.max_bytes:
        raise ContradictionError(
            Contradiction(
                (("spool", "window_bytes"), ("spool", "max_bytes")),
                f"spool.window_bytes ({size_text(spool.window_bytes)}) must not exceed "
                f"spool.max_bytes ({size_text(spool.max_bytes)})",
            )
        )


def check_window_feeds_writer(spool: SpoolConfig, writer: WriterConfig) -> None:
    """The window holds a batch for every writer connection and the one being gathered."""
    needed = (writer.connections + 1) * writer.batch_max_bytes
    if spool.window_bytes < needed:
        raise ContradictionError(
            Contradiction(
                (("spool", "window_bytes"), ("writer", "batch_max_bytes"), ("writer", "connections")),
                f"spool.window_bytes ({size_text(spool.window_bytes)}) must be at least {size_text(needed)}: "
                f"(writer.connections + 1) x writer.batch_max_bytes",
            )
        )


def check_spool_holds_batches(spool: SpoolConfig, writer: WriterConfig, inputs: Inputs) -> None:
    """The disk has room for a full batch: its bytes, the frame that crossed the line, and its table."""
    frame = max((one.max_frame_bytes for one in inputs), default=0)
    full_batch = writer.batch_max_bytes + frame + _TABLE_BYTES_PER_ROW * writer.batch_max_rows
    needed = -(-_SPOOL_FULL_BATCHES * full_batch // MIB) * MIB
    if spool.max_bytes < needed:
        raise ContradictionError(
            Contradiction(
                (("spool", "max_bytes"), ("writer", "batch_max_bytes"), ("writer", "batch_max_rows")),
                f"spool.max_bytes ({size_text(spool.max_bytes)}) must be at least {size_text(needed)}: "
                f"{_SPOOL_FULL_BATCHES} full batches of writer.batch_max_bytes and writer.batch_max_rows",
            )
        )


def check_spool_keeps_positions(spool: SpoolConfig, inputs: Inputs) -> None:
    """How far a file is read is kept in the spool; without it every start would read every file again."""
    for index, one in enumerate(inputs):
        if one.type == "file" and spool.sync == "memory":
            raise ContradictionError(
                Contradiction(
                    (("spool", "sync"), ("inputs", index, "type")),
                    f"spool.sync must be batch or interval with input '{one.name}' of type file: "
                    "how far its files are read is kept in the spool",
                )
            )


def check_retention_covers_past(retention: RetentionConfig, timestamps: TimestampsConfig) -> None:
    """What is still believed to be an event's time is not at once too old to keep."""
    if retention.days is not None and retention.days * 86_400 < timestamps.max_past:
        raise ContradictionError(
            Contradiction(
                (("retention", "days"), ("timestamps", "max_past")),
                f"retention.days ({retention.days}) must cover timestamps.max_past "
                f"({duration_text(timestamps.max_past)}): older rows would be dropped at once",
            )
        )


def check_retention_rules(retention: RetentionConfig) -> None:
    """A rule takes rows before their day goes."""
    found = [
        Contradiction(
            (("retention", "rules", index, "days"), ("retention", "days")),
            f"retention.rules[{index}].days ({rule.days}) must be less than retention.days ({retention.days}): "
            "the rule would never have anything to do",
        )
        for index, rule in enumerate(retention.rules)
        if retention.days is not None and rule.days >= retention.days
    ]
    if found:
        raise ContradictionError(*found)


def _name_clashes(inputs: Inputs) -> Iterator[Contradiction]:
    first: dict[str, int] = {}
    for index, one in enumerate(inputs):
        path: KeyPath = ("inputs", index, "name")
        if one.name == HTTP_INPUT:
            yield Contradiction((path,), f"'{HTTP_INPUT}' is the name of the HTTP listener's own input")
        elif one.name and one.name in first:
            yield Contradiction((path,), f"'{one.name}' is already the name of inputs[{first[one.name]}]")
        elif one.name:
            first[one.name] = index


def _address_clashes(inputs: Inputs) -> Iterator[Contradiction]:
    for index, one in enumerate(inputs):
        for earlier_index, earlier in enumerate(inputs[:index]):
            if one.type == "file" or earlier.type == "file":
                continue
            if (one.type in _STREAMS) == (earlier.type in _STREAMS) and one.listen.overlaps(earlier.listen):
                yield Contradiction(
                    (("inputs", index, "listen"),),
                    f"{one.type} {one.listen} is already taken by inputs[{earlier_index}] ({earlier.listen})",
                )
                break
